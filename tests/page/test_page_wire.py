"""What must fail on the wire: requests that two programs read differently, and bodies of nonsense."""

import json
import socket
from typing import Any

import gate
import httpx
import pytest
from served import pairs

from tuner_app.store import Store, batches, labels, new_uid, sharing

DEEP = "[" * 100_000
NUMBERS = ("NaN", "Infinity", "-1", "1e400", "9" * 40, "9" * 5000, "0.5", "true", "null")
TEXTS = ('""', '"\\u0000"', '"\\ud800"', '"' + "x" * 3000 + '"', "[]", "{}", DEEP)
QUEUE = "/studio/gradio_api/queue"


@pytest.fixture(scope="module", autouse=True)
def work(gated: gate.Gate) -> None:
    """Something to label, and Gradio beside it."""
    batch = batches.make(gated.store, pairs(3), name="a", kind="pair", uid=new_uid())
    sharing.configure(gated.store, batch.id, shared=True, overlap=5)
    gated.gradio()


def head(gated: gate.Gate, line: str, *more: str, cookie: str = "") -> bytes:
    """A request's head, as ann or with another cookie."""
    host = f"127.0.0.1:{gated.place.port}"
    cookie = cookie or f"{gated.app.state.cookie}={gated.session('ann')}"
    lines = (line, f"Host: {host}", f"Origin: http://{host}", "X-Tuner: 1", f"Cookie: {cookie}", *more)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answers(gated: gate.Gate, line: str, *more: str, body: bytes = b"", cookie: str = "") -> list[int]:
    """The statuses of all answers on one connection, which the server is to close after them."""
    got = gated.sends(head(gated, line, *more, "Connection: close", cookie=cookie) + body)
    return [int(part[:3]) for part in got.split(b"HTTP/1.1 ")[1:]]


LEAVE = "POST /api/leave HTTP/1.1"
JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "lengths",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Content-Length: 4", "Content-Length: 40"),
        ("Content-Length: 4, 40",),
        ("Content-Length: +4",),
        ("Content-Length: -1",),
        ("Content-Length: 4 ", "Transfer-Encoding : chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: gzip, chunked",),
    ],
    ids=str,
)
def test_a_request_of_two_lengths_hides_no_other(gated: gate.Gate, ann: httpx.Client, lengths: Any) -> None:
    hidden = head(gated, LEAVE, "Content-Length: 0")
    for body in (b"0\r\n\r\n" + hidden, b"{}\r\n" + hidden):
        found = answers(gated, "POST /api/labels HTTP/1.1", JSON, *lengths, body=body)
        assert len(found) == 1, "what follows is no second request"
        assert found[0] in (400, 413, 501)
    assert ann.get("/api/me").is_success
    assert not (gated.home.folder / "fault.log").exists(), "a stranger writes nothing"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET http://evil.example/api/me HTTP/1.1", 400),
        ("GET //api/me HTTP/1.1", 400),
        ("GET /api//me HTTP/1.1", 400),
        ("GET /api%2fme HTTP/1.1", 400),
        ("GET /api/./me HTTP/1.1", 400),
        ("GET /static/..%3b/api/me HTTP/1.1", 404),
        ("GET /api/me;a=b HTTP/1.1", 404),
        ("GET /api/me/ HTTP/1.1", 404),
        ("GET /API/ME HTTP/1.1", 404),
        ("GET /api/me%0d%0aX: HTTP/1.1", 404),
        ("GET /studio/;/gradio_api/file=/etc/passwd HTTP/1.1", 404),
        ("GET /studio/gradio_api/file=etc HTTP/1.1", 404),
        ("GET * HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 404),
        ("OPTIONS /api/me HTTP/1.1", 405),
        ("TRACE /api/me HTTP/1.1", 405),
        ("CONNECT evil.example:443 HTTP/1.1", 404),
        ("get /api/me HTTP/1.1", 405),
        ("GET /api/me", 400),
        ("GET /api/m\xe9 HTTP/1.1", 400),
    ],
)
def test_an_odd_way_to_ask(gated: gate.Gate, line: str, status: int) -> None:
    assert answers(gated, line) == [status]


def test_no_connection_becomes_another_protocol(gated: gate.Gate) -> None:
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    for path in ("/api/me", f"{QUEUE}/data?session_hash=x", "/studio/", "/ws"):
        for more in (
            ("Upgrade: websocket", "Connection: Upgrade", key, "Sec-WebSocket-Version: 13"),
            (
                "Upgrade: h2c",
                "Connection: Upgrade, HTTP2-Settings",
                "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            ),
        ):
            with socket.create_connection(("127.0.0.1", gated.place.port), timeout=30) as wire:
                wire.sendall(head(gated, f"GET {path} HTTP/1.1", *more))
                assert wire.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 404")


def test_a_cookie_that_comes_twice_is_none(gated: gate.Gate) -> None:
    """Another page of this host may set one, so that somebody works in another's name."""
    name, good = gated.app.state.cookie, gated.session("ann")
    other = gated.session("bea")
    me = "GET /api/me HTTP/1.1"
    for cookie in (
        f"{name}={other}; {name}={good}",
        f"{name}={good}; {name}={other}",
        f"{name}=; {name}={good}",
    ):
        assert answers(gated, me, cookie=cookie) == [401]
    assert answers(gated, me, f"Cookie: {name}={other}", cookie=f"{name}={good}") == [401]
    assert answers(gated, me, cookie=f'a="; {name}={good}; b=\x7f') in ([200], [400])
    assert answers(gated, me, cookie=f"a=1; {name}={good}; b") == [200]


def test_nobody_but_the_proxy_says_where_the_page_is(gated: gate.Gate, ann: httpx.Client) -> None:
    for name in ("X-Forwarded-Host", "X-Gradio-Server", "X-Forwarded-Server"):
        answer = ann.get("/studio/", headers={name: "http://evil.example", "X-Forwarded-Proto": "https"})
        assert answer.is_success
        assert "evil.example" not in answer.text
        assert "https://127.0.0.1" not in answer.text
        assert "strict-transport-security" not in answer.headers


def kept(store: Store) -> list[Any]:
    return [tuple(row) for row in store.query("SELECT * FROM label_events")]


def test_nonsense_is_told_apart_and_keeps_nothing(gated: gate.Gate, ann: httpx.Client) -> None:
    """Every field of a label, with every kind of nonsense: refused, and no fault of the program."""
    (task, *_) = ann.get("/api/work?person=ann&count=1").json()["items"]
    named = {key: task[key] for key in ("batch", "item", "shown")}
    rest = {"uid": "u", "verb": "choose", "value": {"reply": 0}, "tags": [], "comment": "", "undoes": None}
    whole = named | rest
    nonsense = {
        "uid": (*TEXTS, *NUMBERS),
        "batch": (*TEXTS, *NUMBERS),
        "item": (*TEXTS, '"%s"' % ("f" * 64)),
        "verb": (*TEXTS, '"good"', '"undo"'),
        "value": (
            *NUMBERS,
            '{"reply": 2}',
            '{"reply": -1}',
            '{"reply": "0"}',
            '{"reply": true}',
            '{"text": "x"}',
        )
        + tuple(f'{{"reply": {number}}}' for number in NUMBERS),
        "shown": ("[0, 0]", "[0]", "[2, 1]", "[1e400, 0]", '["0", "1"]', f"[{'9' * 40}, 0]", DEEP),
        "tags": ("[1]", '["\\ud800"]', f'["{"x" * 300}"]', "{}"),
        "comment": ('"\\ud800"', "1", f'"{"x" * 20_000}"'),
        "undoes": ("1", f'"{"x" * 65}"'),
    }
    before = kept(gated.store)
    for field, values in nonsense.items():
        others = json.dumps({key: value for key, value in whole.items() if key != field})[1:-1]
        for value in values:
            body = f'{{"person": "ann", "labels": [{{"{field}": {value}, {others}}}]}}'
            answer = ann.post("/api/labels", content=body, headers={"Content-Type": "application/json"})
            told = (field, value[:60], answer.status_code)
            assert answer.status_code in (200, 400, 422), told
            assert not answer.is_success or answer.json()["results"][0]["state"] == "refused", told
    assert kept(gated.store) == before
    assert not (gated.home.folder / "fault.log").exists()
    good = {"person": "ann", "labels": [whole]}
    assert ann.post("/api/labels", json=good).json()["results"] == [{"uid": "u", "state": "saved", "why": ""}]
    other = whole | {"value": {"reply": 1}}
    again = ann.post("/api/labels", json={"person": "ann", "labels": [other]}).json()["results"]
    assert again[0]["state"] == "refused", "its uid is taken"
    (event,) = labels.history(gated.store, task["item"])
    assert event.value == {"reply": 0}


def test_odd_questions_are_no_fault(gated: gate.Gate, ann: httpx.Client) -> None:
    odd = ("%00", "%ed%a0%80", "9" * 40, "-1", "1e9", "x" * 5000, "%", "%0d%0aSet-Cookie:a=b")
    with gated.client() as admin:
        for text in odd:
            for client, path in (
                (ann, f"/api/work?person=ann&batch={text}"),
                (ann, f"/api/work?person=ann&count={text}"),
                (ann, f"/api/work?person=ann&have={text}"),
                (ann, f"/api/history?person={text}"),
                (ann, f"/static/{text}"),
                (ann, f"{QUEUE}/data?session_hash={text}"),
                (admin, f"/api/export?format={text}"),
                (admin, f"/api/export?format=messages&data={text}"),
                (admin, f"/api/export?format=messages&container={text}"),
            ):
                answer = client.get(path)
                assert answer.status_code < 500 or answer.status_code == 503, (path, answer.text)
                assert "a" not in answer.cookies
            sent = admin.post(f"/api/import?name={text}", content=b"{}")
            assert sent.is_success
            for how in ({}, {"format": text}, {"columns": f"prompt={text}"}, {"prompt": "\ud800"}):
                body = json.dumps(how)
                read = admin.post(
                    f"/api/import/{sent.json()['upload']}", content=body, headers={"Content-Type": JSON}
                )
                assert read.status_code in (200, 400, 422), (how, read.text)
    assert not (gated.home.folder / "fault.log").exists()


@pytest.mark.parametrize(
    "path", [f"{QUEUE}/join", "/studio/gradio_api/run/predict", "/studio/gradio_api/cancel"]
)
def test_nonsense_for_gradio_is_no_fault(gated: gate.Gate, ann: httpx.Client, path: str) -> None:
    values = (*NUMBERS, *TEXTS, '"0"')
    bodies = [f'{{"data": [], "fn_index": {value}, "session_hash": "n"}}' for value in values]
    bodies += [f'{{"data": {value}, "fn_index": 0, "session_hash": "n"}}' for value in values]
    bodies += [f'{{"data": [{value}], "fn_index": 0, "session_hash": "n"}}' for value in values]
    bodies += [f'{{"data": [], "fn_index": 0, "session_hash": "n", "event_id": {value}}}' for value in values]
    for body in bodies:
        answer = ann.post(path, content=body, headers={"Content-Type": "application/json"})
        assert "Traceback" not in answer.text
        assert str(gated.home.folder) not in answer.text
    assert not (gated.home.folder / "fault.log").exists()
    assert ann.get("/api/me").is_success
