"""The walls one by one, around an app that answers everything: what each lets through and what it forgets."""

import asyncio
import json
from typing import Any

import pytest

from engine.errors import UserError
from tuner_app.page import access, gradio_gate, limits
from tuner_app.page.access import Sessions
from tuner_app.page.database import NotNowError
from tuner_app.page.gradio_gate import GradioGate
from tuner_app.page.limits import Limits, Rate, Streams
from tuner_app.page.origin import Origin, Place
from tuner_app.store.rows import Member


class Asked:
    """A database that counts how often it was asked."""

    def __init__(self) -> None:
        self.times, self.fails = 0, False

    async def read(self, _: object, secret: str) -> Member | None:
        self.times += 1
        if self.fails:
            raise NotNowError(UserError("locked"))
        return member(1) if secret == "good" else None


def member(person_id: int) -> Member:
    return Member(person_id, f"p{person_id}", "annotator", None, None, "")


async def anything(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


async def ask(app: Any, path: str = "/x", body: object = None, **scope: Any) -> int:
    """The status of an answer."""
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode()}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asked = {"type": "http", "method": "GET" if body is None else "POST", "path": path, "headers": []}
    await app(asked | {"query_string": b"", "client": ("192.0.2.1", 1), "state": {}} | scope, receive, send)
    return int(statuses[0])


# --- sessions


async def test_a_fault_of_the_database_is_not_remembered() -> None:
    database = Asked()
    known = Sessions(database)  # type: ignore[arg-type]
    database.fails = True
    with pytest.raises(NotNowError):
        await known.member_of("good")
    database.fails = False
    assert await known.member_of("good") == member(1)
    assert known.knows("good")
    assert not known.knows("never seen")


async def test_guesses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "KEPT_SESSIONS", 3)
    database = Asked()
    known = Sessions(database)  # type: ignore[arg-type]
    await known.member_of("good")
    await known.member_of("good")
    assert database.times == 1, "it is remembered"
    for guess in range(3):
        await known.member_of(str(guess))
    await known.member_of("good")
    assert database.times == 5, "and forgotten, for there were too many"


async def test_what_is_no_request_reaches_nothing() -> None:
    async def reached(*_: Any) -> None:
        pytest.fail("a websocket is not let in, not even to be told so")

    walls = access.Access(reached, Sessions(Asked()), "c")  # type: ignore[arg-type]
    await walls({"type": "websocket", "path": "/join", "headers": []}, None, None)  # type: ignore[arg-type]


# --- where a request was meant for


async def meant(path: str = "/x", **scope: Any) -> int:
    """The status of a request to the page at this machine; each case is one that nothing else refuses."""
    headers = scope.pop("headers", [(b"host", b"127.0.0.1:7077")])
    wall = Origin(anything, Place("127.0.0.1", 7077))
    return await ask(wall, path, raw_path=path.encode(), scheme="http", headers=headers, **scope)


async def test_a_request_has_one_host() -> None:
    host = (b"host", b"127.0.0.1:7077")
    assert await meant() == 200
    assert [await meant(headers=headers) for headers in ([], [host, host])] == [400, 400]


@pytest.mark.parametrize(
    "path",
    ["/a%2fb", "/a%5Cb", "/a%00", "/%252e", "/%2E/a", "//a", "/a\\b", "/a\x01", "/a b", "/../a", "/a/."],
)
async def test_a_path_that_could_be_read_as_another_is_refused(path: str) -> None:
    assert await meant(path) == 400


async def test_another_sites_page_opens_this_one_and_asks_nothing_of_it() -> None:
    elsewhere = [(b"host", b"127.0.0.1:7077"), (b"sec-fetch-site", b"cross-site")]
    opened = [*elsewhere, (b"sec-fetch-dest", b"document")]
    sent = [*opened, (b"origin", b"http://127.0.0.1:7077")]
    assert await meant(headers=elsewhere) == 403
    assert await meant(headers=opened) == 200
    assert await meant(headers=sent, method="POST") == 403
    twice = [(b"host", b"127.0.0.1:7077"), *[(b"origin", b"http://127.0.0.1:7077")] * 2]
    assert [await meant(headers=twice[:n], method="POST") for n in (1, 2, 3)] == [403, 200, 403]


# --- limits


def test_a_rate_is_for_each_and_remembers_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KEPT", 2)
    rate = Rate(per_second=0.001, burst=1)
    assert rate.wait("a") == 0
    assert rate.wait("a") > 900
    assert rate.wait("b") == 0
    assert rate.wait("c") == 0
    assert rate.wait("a") == 0, "whoever was there the longest ago is forgotten"


async def test_an_ipv6_network_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGER_BURST", 2)
    monkeypatch.setattr(limits, "STRANGER_RATE", 0.001)
    walls = Limits(anything, Sessions(Asked()), "c")  # type: ignore[arg-type]
    hosts = ("2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::3", "fe80::1%eth0")
    assert [await ask(walls, client=(host, 1)) for host in hosts] == [200, 200, 429, 200, 200]


async def test_so_many_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AT_ONCE", 2)
    goes_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await goes_on.wait()
        await anything(scope, receive, send)

    walls = Limits(slow, Sessions(Asked()), "c")  # type: ignore[arg-type]
    under_way = [asyncio.ensure_future(ask(walls)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await ask(walls) == 503
    goes_on.set()
    assert await asyncio.gather(*under_way) == [200, 200]
    assert await ask(walls) == 200, "they have made room"


async def test_so_many_streams_of_one_and_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAMS_OF_ONE", 2)
    monkeypatch.setattr(limits, "STREAMS_OF_ALL", 3)
    streams = Streams(Sessions(Asked()))  # type: ignore[arg-type]

    async def endless(*_: Any) -> None:
        await asyncio.sleep(3600)

    async def open_one(name: str, path: str = f"{limits.STREAMS[0]}x") -> None:
        who = Member(1, name, "annotator", None, None, "")
        scope = {"type": "http", "path": path, "state": {"member": who, "session": "s"}}
        running.append(asyncio.ensure_future(streams.run(endless, scope, None, None)))  # type: ignore[arg-type]
        await asyncio.sleep(0)

    running: list[asyncio.Future[None]] = []
    await open_one("ann", "/api/export")  # counts for none
    await open_one("ann")
    assert streams.room_for("ann")
    await open_one("ann")
    assert not streams.room_for("ann")
    assert streams.room_for("bea")
    await open_one("bea")
    assert not streams.room_for("cy")
    streams.close()
    await asyncio.gather(*running, return_exceptions=True)
    assert not streams.room_for("dee"), "all are closed, but the server ends"


# --- Gradio's gate


async def through(gate: GradioGate, person: int, body: object) -> int:
    state = {"member": member(person)}
    body = {"fn_index": 0} | body if isinstance(body, dict) else body
    return await ask(gate, "/studio/gradio_api/queue/join", body, state=state)


async def test_who_was_first_stays_the_owner_while_others_come_and_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gradio_gate, "MOST_KEPT", 3)
    gate = GradioGate(anything)
    assert await through(gate, 1, {"session_hash": "mine"}) == 200
    for number in range(6):
        assert await through(gate, 1, {"session_hash": "mine"}) == 200
        assert await through(gate, 2, {"session_hash": f"other{number}"}) == 200
        assert await through(gate, 2, {"session_hash": "mine"}) == 403, "it is in use"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"session_hash": "a" * 65}, 403),
        ({"session_hash": "a/b"}, 403),
        ({"session_hash": ["a"]}, 403),
        ({"session_hash": "a", "event_id": {}}, 403),
        ({"session_hash": "a", "simple_format": True}, 200),
        ({"session_hash": "a", "unknown": 1}, 400),
        ({"session_hash": "a", "fn_index": None}, 400),
        ({"session_hash": "a", "fn_index": True}, 400),
        ({"session_hash": "a", "data": [float("nan")]}, 400),
        ({"session_hash": "a", "data": ["\ud800"]}, 400),
        ([], 400),
        ({"data": [{"deep": [{"meta": {"_type": "gradio.FileData"}}]}]}, 403),
        ({"data": [{"path": "x"}]}, 403),
        ({"data": ["/etc/passwd"]}, 200),  # a text like any other
    ],
    ids=str,
)
async def test_what_is_let_through(body: object, status: int) -> None:
    assert await through(GradioGate(anything), 1, body) == status
