"""What must fail: requests of other sites, of strangers, of other people, of too much, too slow."""

import json
import random
import socket
import time
from contextlib import closing, suppress
from itertools import cycle, product

import gate
import pytest

from tuner_app.page import connections, limits
from tuner_app.page.origin import Place
from tuner_app.store import sessions, sqlite

QUEUE = "/studio/gradio_api/queue"
SECRET = "the secret of another file"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.txt").write_text(SECRET)
    with gate.gate(folder / "home") as served:
        yield served


@pytest.fixture
def ann(page):
    with page.client("ann") as client:
        yield client


@pytest.fixture
def bea(page):
    with page.client("bea") as client:
        yield client


def asked(page, **more):
    """The body of an event of the studio's first listener."""
    dependency = page.gradio().get_blocks().config["dependencies"][0]
    body = {"data": [None] * len(dependency["inputs"]), "fn_index": dependency["id"], "session_hash": "s"}
    return body | more


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "[::2]:{port}", "192.0.2.1", ""],
)
def test_a_forged_host_is_refused(page, ann, host):
    assert ann.get("/api/me", headers={"Host": host.format(port=page.place.port)}).status_code == 400


def test_two_hosts_or_none_are_refused(page):
    host = f"Host: 127.0.0.1:{page.place.port}\r\n"
    for lines in (host * 2, f"{host}Host: evil.example\r\n", ""):
        assert page.sends(f"GET /join HTTP/1.1\r\n{lines}\r\n".encode()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", None])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"person": "ann", "labels": []}'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", b"labels="),
        ("application/json", b'{"person": "ann", "labels": []}'),
    ],
)
@pytest.mark.parametrize("path", ["/api/labels", "/api/leave", "/api/join", f"{QUEUE}/join"])
def test_what_another_site_posts_is_refused(page, ann, origin, kind, body, path):
    headers = {"Content-Type": kind, "X-Tuner": "1"}
    request = ann.build_request("POST", path, content=body, headers=headers)
    del request.headers["Origin"]
    if origin:
        request.headers["Origin"] = origin.format(port=page.place.port)
    assert ann.send(request).status_code == 403
    assert ann.get("/api/me").is_success


def test_a_form_cannot_post_even_from_here(page, ann):
    request = ann.build_request("POST", "/api/labels", content=b"{}", headers={"Content-Type": "text/plain"})
    del request.headers["X-Tuner"]
    assert ann.send(request).status_code == 403


def test_another_sites_page_reads_and_embeds_nothing(ann):
    for site in ("cross-site", "same-site"):
        for dest in ("empty", "image", "script", "iframe"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
            assert ann.get("/api/me", headers=headers).status_code == 403
    opened = ann.get("/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"})
    assert opened.is_success  # a link in a letter
    assert opened.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in opened.headers["content-security-policy"]
    assert not [name for name in opened.headers if name.startswith("access-control")]


def test_every_answer_has_the_headers(page, ann):
    page.gradio()
    with page.stranger() as stranger:
        for answer in (
            ann.get("/"),
            ann.get("/nowhere"),
            ann.get("/studio/"),
            ann.get("/api/me", headers={"Host": "evil.example"}),
            stranger.get("/join"),
            stranger.get("/api/me"),
            ann.post("/api/labels", content=b"x" * (limits.BODY + 1)),
        ):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "http" not in policy
            assert "unsafe-eval" not in policy
            assert "script-src 'self' 'unsafe-inline'" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in answer.headers
            assert "server" not in answer.headers
        assert ann.get("/api/me").headers["cache-control"] == "no-store"


def traversals():
    """Five hundred ways to write a path that leads out of a folder."""
    ups = [
        "..",
        "%2e%2e",
        "%252e%252e",
        ".%2e",
        "%c0%ae%c0%ae",
        "..%00",
        "....",
        "..;",
        "%uff0e%uff0e",
        ". .",
    ]
    slashes = ["/", "%2f", "%252f", "\\", "%5c", "%c0%af", "//"]
    files = ["etc/passwd", "tuner.sqlite", "secret.txt"]
    found = [
        slash.join([up] * depth) + slash + file
        for up, slash, depth, file in product(ups, slashes, (1, 4, 12), files)
    ]
    return found[:500]


@pytest.mark.slow
def test_no_encoding_of_a_path_leads_to_a_file(page, ann):
    page.gradio()
    places = ["/static/", "/studio/static/", "/studio/assets/", "/studio/gradio_api/file=", "/api/import/"]
    ways = traversals()
    assert len(ways) >= 500
    host = f"Host: 127.0.0.1:{page.place.port}\r\nCookie: {page.app.state.cookie}={page.session('ann')}"
    with socket.create_connection(("127.0.0.1", page.place.port)) as wire:
        answers = wire.makefile("rb")
        for number, way in enumerate(ways):
            target = (places[number % len(places)] + way).replace(" ", "%20")
            wire.sendall(f"GET {target} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            status, body = answer_of(answers)
            assert status in (400, 403, 404, 405), target
            assert b"root:" not in body, target
            assert b"SQLite" not in body, target
            assert SECRET.encode() not in body, target


def answer_of(answers):
    """The status and the body of the next answer on a connection that is kept."""
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, answers.read(length)


def test_ten_thousand_guesses_of_a_token_are_refused(page):
    token, chance = sessions.invite(page.store, "ann"), random.Random(0)
    head = f"POST /api/join HTTP/1.1\r\nHost: 127.0.0.1:{page.place.port}\r\nOrigin: {page.url}\r\n"
    head += "X-Tuner: 1\r\nContent-Type: application/json\r\n"
    statuses = []
    with socket.create_connection(("127.0.0.1", page.place.port)) as wire:
        answers = wire.makefile("rb")
        for _ in range(200):
            guesses = [token[:40] + "".join(chance.choices("abcABC123-_", k=3)) for _ in range(50)]
            bodies = [json.dumps({"token": guess}) for guess in guesses if guess != token]
            for body in bodies:
                wire.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            statuses += [answer_of(answers)[0] for _ in bodies]
    assert len(statuses) > 9_990
    assert set(statuses) <= {403, 429}
    assert statuses.count(403) < 100  # the others were not even looked at
    with page.stranger() as late:
        refused = late.post("/api/join", json={"token": token})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert sessions.redeem(page.store, token)  # guessing has not used it up


def test_many_join_at_once_from_one_address(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JOIN_RATE", 0.001)
    monkeypatch.setattr(limits, "JOIN_BURST", 3)
    with gate.gate(tmp_path) as page, page.stranger() as browser:
        for _ in range(8):
            token = sessions.invite(page.store, "ann")
            assert browser.post("/api/join", json={"token": token}).is_success
        for status in (403, 403, 403, 429):
            assert browser.post("/api/join", json={"token": "guess"}).status_code == status


def test_a_large_body_is_refused_before_it_is_there(page, ann):
    head = f"POST /api/labels HTTP/1.1\r\nHost: 127.0.0.1:{page.place.port}\r\nOrigin: {page.url}\r\n"
    head += f"Cookie: {page.app.state.cookie}={page.session('ann')}\r\nX-Tuner: 1\r\n"
    head += "Content-Type: application/json\r\n"
    since = time.monotonic()
    told = page.sends(f"{head}Content-Length: 100000000\r\n\r\n".encode())
    assert told.startswith(b"HTTP/1.1 413")
    assert time.monotonic() - since < 4
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", page.place.port), timeout=10) as wire:
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
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
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


def test_a_thousand_event_streams_leave_room_for_labelling(page, ann):
    page.gradio()
    assert ann.get("/api/me").is_success
    host = f"Host: 127.0.0.1:{page.place.port}\r\n"
    cookies = [f"Cookie: {page.app.state.cookie}={page.session(name)}\r\n" for name in ("bea", "rex")]
    wires = []
    try:
        for number in range(1000):
            wire = socket.create_connection(("127.0.0.1", page.place.port), timeout=30)
            path = f"/studio/gradio_api/heartbeat/many{number}"
            wire.sendall(f"GET {path} HTTP/1.1\r\n{host}{cookies[number % 2]}\r\n".encode())
            wires.append(wire)
        statuses = [int(wire.recv(12).split()[1]) for wire in wires]
        assert statuses.count(200) == 2 * limits.STREAMS_OF_ONE
        assert set(statuses) == {200, 429}
        since = time.monotonic()
        assert all(ann.get("/api/work?person=ann&count=2").is_success for _ in range(20))
        assert time.monotonic() - since < 10
    finally:
        for wire in wires:
            wire.close()


def test_a_session_and_an_event_are_whose_they_were_first(page, ann, bea):
    joined = ann.post(f"{QUEUE}/join", json=asked(page, session_hash="anns"))
    assert joined.is_success
    event = joined.json()["event_id"]
    cancel = {"session_hash": "beas", "fn_index": 0, "event_id": event}
    for answer in (
        bea.post(f"{QUEUE}/join", json=asked(page, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(page, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(page, event_id=event)),
        bea.get(f"{QUEUE}/data", params={"session_hash": "anns"}),
        bea.get(f"{QUEUE}/data?session_hash=beas&session_hash=anns"),
        bea.get(f"{QUEUE}/data?session%5Fhash=anns"),
        bea.get("/studio/gradio_api/heartbeat/anns"),
        bea.post("/studio/gradio_api/cancel", json=cancel),
        bea.post("/studio/gradio_api/cancel", json=cancel | {"session_hash": "anns", "event_id": "x"}),
        bea.post("/studio/gradio_api/reset", json={"event_id": event}),
    ):
        assert answer.status_code == 403, answer.url
    twice = b'{"session_hash": "anns", "session_hash": "beas", "data": [], "fn_index": 0}'
    bea.post(f"{QUEUE}/join", content=twice, headers={"Content-Type": "application/json"})
    with ann.stream("GET", f"{QUEUE}/data", params={"session_hash": "anns"}) as stream:
        assert any("process_completed" in line for line in stream.iter_lines())


def files_named(folder):
    """What a client could name as a file, in the shapes that Gradio's inputs take."""
    meta = {"_type": "gradio.FileData"}
    for path in (str(folder / "secret.txt"), "/etc/passwd", "http://127.0.0.1:9/x", "file:///etc/passwd"):
        yield {"path": path, "meta": meta}
        yield {"path": path, "url": path, "meta": meta, "orig_name": "x"}
        yield [{"path": path, "meta": meta}]
        yield {"text": "x", "files": [{"path": path, "meta": meta}]}
        yield [{"role": "user", "content": {"path": path, "meta": meta}}]
        yield {"path": path, "is_stream": True}


@pytest.mark.slow
def test_no_input_takes_a_file_that_a_client_names(page, ann, tmp_path_factory):
    folder = page.home.folder.parent
    dependencies = page.gradio().get_blocks().config["dependencies"]
    ways, named = cycle([f"{QUEUE}/join", "/studio/gradio_api/run/predict"]), cycle(files_named(folder))
    bodies = [
        asked(page, fn_index=each["id"], data=[None] * place + [next(named)])
        for each in dependencies
        for place in range(len(each["inputs"]))
    ]
    bodies += [asked(page, data=[one]) for one in files_named(folder)]
    bodies += [asked(page, event_data=one) for one in files_named(folder)]
    assert len(bodies) > 50
    with page.client() as admin:
        statuses = [admin.post(next(ways), json=body).status_code for body in bodies]
    assert set(statuses) == {403}


def test_gradio_itself_checks_the_files_that_are_named(page):
    """The second wall, were something to pass the first."""
    from gradio import processing_utils
    from gradio.context import LocalContext
    from gradio.exceptions import InvalidPathError

    token = LocalContext.blocks.set(page.gradio().get_blocks())
    try:
        with pytest.raises(InvalidPathError):
            processing_utils._check_allowed("/etc/passwd", check_in_upload_folder=True)
    finally:
        LocalContext.blocks.reset(token)


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


def test_hosts_by_the_place():
    far = Place("0.0.0.0", 7077, proxy="label.example.org", names=("box.example.org",))
    for host in ("label.example.org", "192.168.1.7:7077", "box.example.org:80", "[fe80::1]:7077"):
        assert far.serves(host)
    for host in ("evil.example:7077", "label.example.org.evil.example", "", "box.example.org@evil.example"):
        assert not far.serves(host)
    near = Place("127.0.0.1", 7077)
    for host in ("localhost:7077", "127.0.0.1:9000", "[::1]:7077"):
        assert near.serves(host)
    for host in ("192.168.1.7:7077", "evil.example", "", ":7077"):
        assert not near.serves(host)


def test_the_proxy_alone_says_what_was_https_and_who_came(tmp_path):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
    host = {"Host": "label.example.org"}
    with gate.gate(tmp_path / "a", proxy="label.example.org") as page, page.client("ann") as ann:
        answer = ann.get("/api/me", headers=host | forwarded)
        assert "strict-transport-security" in answer.headers
        secure = host | forwarded | {"Origin": "https://label.example.org"}
        token = sessions.invite(page.store, "bea")
        joined = ann.post("/api/join", json={"token": token}, headers=secure)
        assert "Secure" in joined.headers["set-cookie"]
        assert "strict-transport-security" not in ann.get("/api/me", headers=host).headers
    elsewhere = {"proxy": "label.example.org", "proxy_address": "10.0.0.1"}
    with gate.gate(tmp_path / "b", **elsewhere) as page, page.client("ann") as ann:
        answer = ann.get("/api/me", headers=host | forwarded)
        assert "strict-transport-security" not in answer.headers


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
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with gate.gate(tmp_path) as page, page.stranger() as browser:
        token = {"token": sessions.invite(page.store, "ann")}
        with closing(sqlite.open_raw(page.home.database)) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = browser.post("/api/join", json=token)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert "locked" in answer.json()["error"]
            assert "not saved" in answer.json()["kept"]
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
