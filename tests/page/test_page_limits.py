"""Too much, too slow, too often, too many: it is refused, and others do not notice."""

import json
import random
import socket
import time
from contextlib import ExitStack, closing, suppress

import gate

from tuner_app.page import connections, limits
from tuner_app.store import sessions, sqlite, waiting


def test_ten_thousand_guesses_of_a_token_are_refused(gated):
    token, chance = sessions.invite(gated.store, "ann"), random.Random(0)
    head = f"POST /api/join HTTP/1.1\r\nHost: 127.0.0.1:{gated.place.port}\r\nOrigin: {gated.url}\r\n"
    head += "X-Tuner: 1\r\nContent-Type: application/json\r\n"
    statuses = []
    with socket.create_connection(("127.0.0.1", gated.place.port)) as wire:
        answers = wire.makefile("rb")
        for _ in range(200):
            guesses = [token[:40] + "".join(chance.choices("abcABC123-_", k=3)) for _ in range(50)]
            bodies = [json.dumps({"token": guess}) for guess in guesses if guess != token]
            for body in bodies:
                wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            statuses += [gate.answer_of(answers)[0] for _ in bodies]
    assert len(statuses) > 9_990
    assert set(statuses) <= {403, 429}
    assert statuses.count(403) < 100  # the others were not even looked at
    assert sessions.redeem(gated.store, token)  # guessing has not used it up


def test_many_join_at_once_from_one_address(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JOIN_RATE", 0.001)
    monkeypatch.setattr(limits, "JOIN_BURST", 3)
    with gate.gate(tmp_path) as page, page.stranger() as browser:
        for _ in range(8):
            token = sessions.invite(page.store, "ann")
            assert browser.post("/api/join", json={"token": token}).is_success
        for _ in range(3):
            assert browser.post("/api/join", json={"token": "guess"}).status_code == 403
        refused = browser.post("/api/join", json={"token": sessions.invite(page.store, "ann")})
        assert refused.status_code == 429, "not even what is right is looked at"
        assert int(refused.headers["retry-after"]) > 900


def test_a_large_body_is_refused_before_it_is_there(gated, ann):
    head = f"POST /api/labels HTTP/1.1\r\nHost: 127.0.0.1:{gated.place.port}\r\nOrigin: {gated.url}\r\n"
    head += f"Cookie: {gated.app.state.cookie}={gated.session('ann')}\r\nX-Tuner: 1\r\n"
    head += "Content-Type: application/json\r\n"
    since = time.monotonic()
    told = gated.sends(f"{head}Content-Length: 100000000\r\n\r\n".encode())
    assert told.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - since < 4
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", gated.place.port), timeout=10) as wire:
        wire.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        sent = 0
        with suppress(OSError):  # closed, or reset
            while sent < 100_000_000:
                wire.sendall(piece)
                sent += len(piece)
    assert sent < 20_000_000
    assert ann.get("/api/me").is_success


def test_a_body_without_an_end_or_of_nonsense_is_refused(ann):
    for body in (b"", b"{", b"[" * 100_000, b'{"labels": 1}', b"\xff\xfe", b"null", b"NaN"):
        answer = ann.post("/api/labels", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 403, 422), body
        assert "Traceback" not in answer.text


def test_who_dribbles_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 1.0)  # whoever does not dribble is done in that time
    monkeypatch.setattr(limits, "BODY_SECONDS", 1.0)
    with gate.gate(tmp_path) as page, page.client("ann") as ann:
        host = f"Host: 127.0.0.1:{page.place.port}\r\n"
        head = f"POST /api/join HTTP/1.1\r\n{host}Origin: {page.url}\r\nX-Tuner: 1\r\nContent-Length: 900\r\n"
        for first, told in (
            (b"", b""),
            (b"GET /join HT", b""),
            (f"GET /join HTTP/1.1\r\n{host}".encode(), b""),
            (f"GET /join HTTP/1.1\r\n{host}\r\nGET ".encode(), b"HTTP/1.1 200"),
            (f"{head}\r\n{{".encode(), b"HTTP/1.1 408"),
        ):
            got, cut = page.dribbles(first)
            assert cut
            assert got.startswith(told)
            assert bool(got) == bool(told)
            assert ann.get("/api/me").is_success


def test_a_thousand_event_streams_leave_room_for_labelling(gated, ann):
    gated.gradio()
    assert ann.get("/api/me").is_success
    host = f"Host: 127.0.0.1:{gated.place.port}\r\n"
    cookies = [f"Cookie: {gated.app.state.cookie}={gated.session(name)}\r\n" for name in ("bea", "rex")]
    with ExitStack() as wires:

        def opened(number, path):
            wire = wires.enter_context(socket.create_connection(("127.0.0.1", gated.place.port), timeout=60))
            wire.sendall(
                f"GET /studio/gradio_api/{path} HTTP/1.1\r\n{host}{cookies[number % 2]}\r\n".encode()
            )
            return wire

        def status(wire):
            return int(wire.recv(12).split()[1])

        # These stay open, while `queue/data` of which nothing was asked ends, sooner or later.
        stay = range(2 * limits.STREAMS_OF_ONE)
        assert {status(opened(number, f"heartbeat/stays{number}")) for number in stay} == {200}
        ways = ("heartbeat/", "heartbeat/", "queue/data?session_hash=")
        more = [opened(number, f"{ways[number % 3]}many{number}") for number in range(1000 - len(stay))]
        assert {status(wire) for wire in more} == {429}
        assert all(ann.get("/api/work?person=ann&count=2").is_success for _ in range(20))


def test_one_member_alone_cannot_use_up_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MEMBER_RATE", 0.01)
    monkeypatch.setattr(limits, "MEMBER_BURST", 5)
    with gate.gate(tmp_path) as page, page.client("ann") as ann, page.client("bea") as bea:
        answers = [ann.get("/api/me") for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert int(answers[-1].headers["retry-after"]) > 60
        with page.client("ann") as again:  # another session of hers is hers
            assert again.get("/api/me").status_code == 429
        assert bea.get("/api/me").is_success


def test_a_stranger_cannot_keep_the_database_busy_with_invented_sessions(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "STRANGER_RATE", 0.01)
    monkeypatch.setattr(limits, "STRANGER_BURST", 5)
    with gate.gate(tmp_path) as page, page.client("ann") as ann, page.stranger() as stranger:
        assert ann.get("/api/me").is_success
        cookie = page.app.state.cookie
        answers = [stranger.get("/api/me", headers={"Cookie": f"{cookie}={n}"}) for n in range(8)]
        assert [answer.status_code for answer in answers] == [401] * 4 + [429] * 4
        assert all(ann.get("/api/me").is_success for _ in range(8))  # from the same address


def test_a_locked_database_is_said_and_a_link_stays_good(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 0.1)
    with gate.gate(tmp_path) as page, page.stranger() as browser:
        token = {"token": sessions.invite(page.store, "ann")}
        with closing(sqlite.open_raw(page.home.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = browser.post("/api/join", json=token)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "locked" in answer.json()["error"]
            assert "not saved" in answer.json()["kept"]
            assert str(page.home.folder) not in answer.text
            other.execute("ROLLBACK")
        assert browser.post("/api/join", json=token).is_success


def test_who_reads_nothing_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    asked_for = "GET /static/label.js HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    with gate.gate(tmp_path) as page, page.client("ann") as ann:
        with socket.socket() as wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.settimeout(0.1)
            wire.connect(("127.0.0.1", page.place.port))
            end, cut = time.monotonic() + 20, False
            while not cut and time.monotonic() < end:
                try:
                    wire.sendall(asked_for.format(port=page.place.port).encode())
                except TimeoutError:  # full: the server reads no more of it until it has answered
                    time.sleep(0.05)
                except OSError:
                    cut = True
            assert cut
        assert ann.get("/api/me").is_success
