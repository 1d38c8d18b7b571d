"""How much one client may ask for: requests, sizes, time, open streams. 413, 408, 429 and 503 say so."""

import asyncio
import math
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner_app.page.access import NONSENSE, Sessions, cookie_of, refuse
from tuner_app.page.connections import network

MIB = 1 << 20
BODIES = {"/api/import": 2048 * MIB, "/api/join": 1024}  # bytes of a request's body
BODY = 2 * MIB  # of all others: the longest correction of an answer fits many times
BODY_SECONDS, BODY_RATE = 10.0, 50_000  # a body has so long, and a second more for so many bytes

# Requests a second on the long run, and at once: of a member, whose browser asks for a hundred files when the
# studio opens; of an address without a session; and vain attempts to join from an address.
MEMBER_RATE, MEMBER_BURST = 40, 400
STRANGER_RATE, STRANGER_BURST = 20, 300
JOIN_RATE, JOIN_BURST = 0.2, 30

STREAMS = ("/studio/gradio_api/heartbeat/", "/studio/gradio_api/queue/data")
STREAMS_OF_ONE, STREAMS_OF_ALL = 16, 512
AT_ONCE = 256  # requests under way, streams apart
LONG = ("/api/import", "/api/export")  # large files: they too end when their session does
REVOKED_SECONDS = 2.0  # how often the sessions behind what goes on for long are looked up

KEPT = 20_000  # clients whose requests are counted


@dataclass
class Rate:
    """Up to `burst` requests at once, and `per_second` on the long run, for each key."""

    per_second: float
    burst: float
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, key: str) -> float:
        """Count a request; the seconds after which it may be asked again, 0 when it may be now."""
        now = time.monotonic()
        left, since = self._left.pop(key, (self.burst, now))
        left = min(self.burst, left + (now - since) * self.per_second)
        taken = left >= 1
        self._left[key] = (left - taken, now)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - left) / self.per_second

    def give_back(self, key: str) -> None:
        """A request that was counted is not to count."""
        if key in self._left:
            left, since = self._left[key]
            self._left[key] = (left + 1, since)


class Limits:
    """Middleware before the access checks: bodies and the requests of those who are not known."""

    def __init__(self, app: ASGIApp, sessions: Sessions, cookie: str) -> None:
        self._app = app
        self._sessions, self._cookie = sessions, cookie
        self._joins = Rate(per_second=JOIN_RATE, burst=JOIN_BURST)
        self._strangers = Rate(per_second=STRANGER_RATE, burst=STRANGER_BURST)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or the reason why there is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        counted = not _is_stream(scope)
        self._under_way += counted
        try:
            body = _Body(scope, receive, self._forgiving(scope, send))
            await self._app(scope, body.receive, body.send)
        finally:
            self._under_way -= counted

    def _forgiving(self, scope: Scope, send: Send) -> Send:
        """Many people may join at once from one address: those who do, with links that are good."""
        if scope["path"] != "/api/join":
            return send

        async def forgiving(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 300:
                self._joins.give_back(_network(scope))
            await send(message)

        return forgiving

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers and "content-length" in headers:  # a proxy may have read the other
            return refuse(400, NONSENSE, headers={"connection": "close"})
        if not length.isdecimal() or int(length) > _most(scope):
            return too_large()
        if self._under_way >= AT_ONCE and not _is_stream(scope):
            return later(503, 1, "Too many people are asking at once.")
        address = _network(scope)
        if scope["path"] == "/api/join":
            return _limited(self._joins.wait(address))
        known = self._sessions.knows(cookie_of(scope, self._cookie))
        if not known and not scope["path"].startswith("/static/"):
            return _limited(self._strangers.wait(address))
        return None


class MemberLimits:
    """Middleware after the access checks: each member's requests and open streams.

    Streams and large files of sessions that have ended are cut off within REVOKED_SECONDS.
    """

    def __init__(self, app: ASGIApp, streams: "Streams") -> None:
        self._app = app
        self._rate = Rate(per_second=MEMBER_RATE, burst=MEMBER_BURST)
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or the reason why there is none."""
        member = scope.get("state", {}).get("member")
        if scope["type"] != "http" or member is None:
            await self._app(scope, receive, send)
        elif wait := self._rate.wait(member.name):
            await later(429, wait, "You are asking too often.")(scope, receive, send)
        elif _is_stream(scope) and not self._streams.room_for(member.name):
            await later(429, 5, "Too many of your tabs are open.")(scope, receive, send)
        elif _is_stream(scope) or scope["path"] in LONG:
            await self._streams.run(self._app, scope, receive, send)
        else:
            await self._app(scope, receive, send)


@dataclass(eq=False)
class _Stream:
    member: str
    session: str
    task: asyncio.Task[None]
    events: bool


class Streams:
    """What goes on for long: the event streams that are open, and the files that are sent."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._open: set[_Stream] = set()
        self._closed = False

    def room_for(self, member: str) -> bool:
        """Whether this member may open one more."""
        events = [stream for stream in self._open if stream.events]
        mine = sum(stream.member == member for stream in events)
        return not self._closed and len(events) < STREAMS_OF_ALL and mine < STREAMS_OF_ONE

    async def run(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let `app` stream until it ends or the stream is closed."""
        task = asyncio.ensure_future(app(scope, receive, send))
        member, session = scope["state"]["member"].name, scope["state"]["session"]
        stream = _Stream(member, session, task, _is_stream(scope))
        self._open.add(stream)
        try:
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()
        finally:
            self._open.discard(stream)
            task.cancel()
        if task.cancelled() and not stream.events:
            raise asyncio.CancelledError  # the connection is closed: what is there is not the whole
        if task.cancelled():
            with suppress(Exception):  # where not even the headers were sent
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self) -> None:
        """Close all that are open, and let no more be opened."""
        self._closed = True
        for stream in self._open:
            stream.task.cancel()

    async def watch(self) -> None:
        """Close the streams of sessions that have ended, until cancelled."""
        while True:
            await asyncio.sleep(REVOKED_SECONDS)
            for session in {stream.session for stream in self._open}:
                with suppress(Exception):  # a database that cannot answer now can so in two seconds
                    if await self._sessions.member_of(session) is None:
                        self._end(session)

    def _end(self, session: str) -> None:
        for stream in self._open:
            if stream.session == session:
                stream.task.cancel()


class _Body:
    """One request's body and answer, cut off when they are too large or too slow."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._most, self._size = _most(scope), 0
        self._since = time.monotonic()
        self._whole = self._answered = self._cut = False

    async def receive(self) -> Message:
        """The next part of the body; a disconnect when there has been too much of it, or too slowly."""
        if self._cut:
            return {"type": "http.disconnect"}
        if self._whole:
            return await self._receive()
        left = self._since + BODY_SECONDS + self._size / BODY_RATE - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0)):
                message = await self._receive()
        except TimeoutError:
            return await self._refuse(refuse(408, "The request came too slowly."))
        if message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._size > self._most:
                return await self._refuse(too_large())
        return message

    async def send(self, message: Message) -> None:
        """A part of the answer, unless the request was refused meanwhile."""
        if not self._cut:
            self._answered = True
            await self._send(message)

    async def _refuse(self, answer: Response) -> Message:
        self._cut = True
        answer.headers["connection"] = "close"
        if not self._answered:
            await answer(self._scope, self._receive, self._send)
        return {"type": "http.disconnect"}


def later(status: int, seconds: float, what: str) -> Response:
    """An answer that says when to ask again."""
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))}
    return refuse(status, what, headers=headers, do="Try again shortly.")


def too_large() -> Response:
    """413; the connection is closed, because what follows in it is the rest of the body."""
    return refuse(413, "This is too large.", headers={"connection": "close"})


def _limited(wait: float) -> Response | None:
    return later(429, wait, "Too many requests from this address.") if wait else None


def _is_stream(scope: Scope) -> bool:
    return str(scope["path"]).startswith(STREAMS)


def _most(scope: Scope) -> int:
    return BODIES.get(scope["path"], BODY)


def _network(scope: Scope) -> str:
    return network(scope["client"][0] if scope["client"] else "")
