"""What passes on to Gradio: its sessions and events bound to their member, and no file that a client names.

Gradio's `session_hash` and event ids are random numbers from the browser that it binds to nobody, and its
inputs take files by path or URL. The studio has no input for files: whatever looks like one is refused.
"""

import json
import re
from collections import OrderedDict
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tuner_app.page.access import NONSENSE, refuse

MOST_KEPT = 50_000
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OF_FILES = {"path", "url", "orig_name", "mime_type", "is_stream"}
_HEARTBEAT = "/studio/gradio_api/heartbeat/"
_WITHOUT_LISTENER = ("/cancel", "/reset")
_FIELDS = {"session_hash", "event_id", "data", "event_data", "fn_index", "trigger_id", "simple_format"}
_FIELDS |= {"batched", "cache_ignore", "api_name"}


class GradioGate:
    """Middleware before the studio."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._owners: OrderedDict[str, int] = OrderedDict()  # of session hashes and event ids: person ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The studio's answer, or the reason why there is none."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        person = scope["state"]["member"].person_id
        names = _named_by_address(scope)
        if scope["method"] == "POST":
            body = await _whole(receive)
            if body is None:
                return
            given = _parsed(body)
            if given is None or not _names_a_listener(scope, given):
                await refuse(400, NONSENSE)(scope, receive, send)
                return
            if _names_a_file(given):
                await refuse(403, "No file can be given here.")(scope, receive, send)
                return
            names += [given[name] for name in ("session_hash", "event_id") if given.get(name) is not None]
            receive = _again(json.dumps(given).encode(), receive)  # what was looked at, and nothing else
            send = self._noting_the_event(person, send) if scope["path"].endswith("/join") else send
        if not all(self._is_of(person, name) for name in names):
            await refuse(403, "This is another person's.")(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except KeyError:
            pass  # there is no such listener: Gradio has answered
        except RuntimeError as error:
            if not isinstance(error.__cause__, HTTPException):
                raise
            # A stream of a session that has ended, as after a restart: Gradio has said so in it.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _is_of(self, person: int, name: Any) -> bool:
        """Whether a session or an event is this person's, as it is of whoever names it first."""
        if not isinstance(name, str) or not _HASH.fullmatch(name):
            return False
        owner = self._owners.setdefault(name, person)
        self._owners.move_to_end(name)
        if len(self._owners) > MOST_KEPT:
            self._owners.popitem(last=False)
        return owner == person

    def _noting_the_event(self, person: int, send: Send) -> Send:
        """Bind the event's id, which the answer tells, before anyone else can know it."""

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.body" and (made := _parsed(message.get("body", b""))):
                self._is_of(person, made.get("event_id"))
            await send(message)

        return noting


def _named_by_address(scope: Scope) -> list[Any]:
    names: list[Any] = list(parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", ()))
    if scope["path"].startswith(_HEARTBEAT):
        names.append(scope["path"].removeprefix(_HEARTBEAT))
    return names


async def _whole(receive: Receive) -> bytes | None:
    """The request's body; None when the client has left, or was cut off for what it sent."""
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
    return None


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


def _parsed(body: bytes) -> dict[str, Any] | None:
    """What a body says; None where it is no JSON, or what no answer could hold: half characters and NaN."""
    try:
        given = json.loads(body)
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) and given.keys() <= _FIELDS else None


def _names_a_listener(scope: Scope, given: dict[str, Any]) -> bool:
    return scope["path"].endswith(_WITHOUT_LISTENER) or type(given.get("fn_index")) is int


def _names_a_file(given: Any) -> bool:
    waiting = [given]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            meta = value.get("meta")
            if _OF_FILES & value.keys() or (isinstance(meta, dict) and "_type" in meta):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False
