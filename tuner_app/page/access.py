"""Who may do what: each path with its least role, and the member behind a session's cookie.

What is not in the table is denied, to everybody. The table names the routes of Gradio that are needed and no
other: a test holds it against the routes that the app has.
"""

import asyncio
import time
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.errors import UserError
from tuner_app.page.database import Database, NotNowError
from tuner_app.page.translation import of_headers, translate, translate_error
from tuner_app.store import sessions
from tuner_app.store.members import ROLES
from tuner_app.store.rows import Member, MemberRole

FRESH = 1.0  # seconds for which a session is not looked up again
KEPT_SESSIONS = 10_000
ANYONE = None  # no session is asked for
NONSENSE = "This is not what the page's own program sends."

_PAGE, _READ, _POST = ("GET", "HEAD"), ("GET",), ("POST",)


@dataclass(frozen=True)
class Rule:
    """A path as a router's template, its methods, and the least role that may use them."""

    path: str
    methods: tuple[str, ...]
    role: MemberRole | None


RULES = (
    Rule("/join", _PAGE, ANYONE),
    Rule("/api/join", _POST, ANYONE),
    Rule("/favicon.ico", _PAGE, ANYONE),
    Rule("/static/{name}", _PAGE, ANYONE),  # the program's own files, as everybody has them
    Rule("/worker.js", _PAGE, ANYONE),
    Rule("/", _PAGE, "annotator"),
    Rule("/api/leave", _POST, "annotator"),
    Rule("/api/me", _READ, "annotator"),
    Rule("/api/work", _READ, "annotator"),
    Rule("/api/labels", _POST, "annotator"),
    Rule("/api/history", _READ, "annotator"),
    Rule("/api/import", _POST, "admin"),
    Rule("/api/import/{token}", _POST, "admin"),
    Rule("/api/export", _READ, "admin"),
    # Gradio's page, its program, and its queue of events.
    Rule("/studio", _PAGE, "annotator"),
    Rule("/studio/", _PAGE, "annotator"),
    Rule("/studio/theme.css", _READ, "annotator"),
    Rule("/studio/assets/{path:path}", _READ, "annotator"),
    Rule("/studio/static/{path:path}", _READ, "annotator"),
    Rule("/studio/gradio_api/heartbeat/{session_hash}", _READ, "annotator"),
    Rule("/studio/gradio_api/app_id", _READ, "annotator"),  # asked for until a lost connection is back
    Rule("/studio/gradio_api/queue/join", _POST, "annotator"),
    Rule("/studio/gradio_api/queue/data", _READ, "annotator"),
    Rule("/studio/gradio_api/run/{api_name}", _POST, "annotator"),
    Rule("/studio/gradio_api/cancel", _POST, "annotator"),
    Rule("/studio/gradio_api/reset", _POST, "annotator"),
)


def may(member: Member, role: MemberRole) -> bool:
    """Whether `member` has at least `role`."""
    return ROLES.index(member.role) >= ROLES.index(role)


class Access:
    """Middleware: lets a request through when its path is in the table and its member may use it.

    The routes find the member in `request.state.member` and the session's secret in `request.state.session`.
    """

    def __init__(self, app: ASGIApp, sessions: "Sessions", cookie: str) -> None:
        self._app = app
        self._cookie = cookie
        self._sessions = sessions
        self._rules = [(compile_path(rule.path)[0], rule) for rule in RULES]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or the reason why there is none."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                refused = await self._refusal(scope)
            except NotNowError as error:
                refused = unavailable(error)
            await (refused or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        secret = cookie_of(scope, self._cookie)
        member = await self._sessions.member_of(secret) if secret else None
        rule = self._rule(scope["path"])
        if rule is not None and scope["method"] not in rule.methods:
            return refuse(405, "This address has no such method.")
        if rule is not None and rule.role is ANYONE:
            return None
        if member is None:
            if rule is not None and "HEAD" in rule.methods:
                return RedirectResponse("/join", 303)
            return refuse(401, "This needs a link: ask for one from who runs this page.")
        if rule is None:
            return refuse(404, "There is nothing here.")
        if rule.role is not None and not may(member, rule.role):
            return refuse(403, f"This is for a {rule.role} alone.")
        scope["state"]["member"], scope["state"]["session"] = member, secret
        return None

    def _rule(self, path: str) -> Rule | None:
        return next((rule for pattern, rule in self._rules if pattern.match(path)), None)


class Sessions:
    """The members behind sessions' secrets, looked up at most once a second each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, asyncio.Future[Member | None]]] = {}

    async def member_of(self, secret: str) -> Member | None:
        """The member whose session `secret` opens; None when it has ended or there never was one."""
        since, found = self._known.get(secret, (0.0, None))
        if found is None or time.monotonic() - since > FRESH:
            if len(self._known) >= KEPT_SESSIONS:
                self._known.clear()
            found = asyncio.ensure_future(self._database.read(sessions.member_of, secret))
            self._known[secret] = time.monotonic(), found
        try:
            return await asyncio.shield(found)
        except NotNowError:
            self._known.pop(secret, None)
            raise

    def knows(self, secret: str) -> bool:
        """Whether `secret` opened a session when it was last looked up."""
        _, found = self._known.get(secret, (0.0, None))
        return found is not None and found.done() and not found.exception() and found.result() is not None


class _Refusal(JSONResponse):
    """Why there is no other answer, in the language of the browser that asked."""

    def __init__(
        self,
        told: dict[str, str],
        status: int,
        headers: dict[str, str] | None,
        names: dict[str, str] | None = None,
    ) -> None:
        super().__init__(told, status, headers=headers)
        self._told, self._names = told, names or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        language = of_headers(Headers(scope=scope))
        first = self._told["error"]
        told = {name: translate(text, language) for name, text in self._told.items()}
        self.body = self.render(told | {"error": translate_error(first, language)} | self._names)
        self.headers["content-length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def refuse(
    status: int,
    what: str,
    *,
    headers: dict[str, str] | None = None,
    do: str = "",
    names: dict[str, str] | None = None,
) -> Response:
    """An answer that says why there is no other; with `names` of people, for the page's program."""
    return _Refusal({"error": what, "do": do}, status, headers, names)


def said(status: int, error: UserError, headers: dict[str, str] | None = None) -> Response:
    """What a person can mend, as an answer."""
    told = {"error": error.what, "kept": error.kept, "do": error.do}
    return _Refusal(told, status, headers)


def unavailable(error: NotNowError) -> Response:
    """503, or 507 where there is no room: nothing was saved; the browser keeps and retries what it sent."""
    return said(507 if error.full else 503, error.error, {"Retry-After": "3" if error.full else "1"})


def cookie_of(scope: Scope, name: str) -> str:
    """A cookie's value, "" where the request has none of this name, or several: then another page of this
    host has set one."""
    pairs = [
        part.partition("=") for line in Headers(scope=scope).getlist("cookie") for part in line.split(";")
    ]
    found = [value.strip() for key, _, value in pairs if key.strip() == name]
    return found[0] if len(found) == 1 else ""


def member(request: Request) -> Member:
    """The member who sent `request`; for Gradio's handlers too, with Gradio's request."""
    found: Member = request.state.member
    return found
