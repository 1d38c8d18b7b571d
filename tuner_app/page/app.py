"""The page's routes, and what each request passes on its way to them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from h11 import LocalProtocolError
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Lifespan

from engine.errors import UserError
from tuner_app import faults
from tuner_app.clean import one_line
from tuner_app.page import files, labels, static_files
from tuner_app.page.access import NONSENSE, Access, Sessions, cookie_of, refuse, said, unavailable
from tuner_app.page.answering import Answering
from tuner_app.page.database import Database, NotNowError
from tuner_app.page.gradio_gate import GradioGate
from tuner_app.page.headers import Headers
from tuner_app.page.limits import Limits, MemberLimits, Streams
from tuner_app.page.loading import Studio
from tuner_app.page.origin import Origin, Place
from tuner_app.paths import Home
from tuner_app.store import Store, audit, people, sessions

DAYS = 30  # a session's life


def build(home: Home, database: Database, place: Place) -> FastAPI:
    """The page of `home`, reached at `place`."""
    cookie = f"tuner-{sha256(str(home.folder).encode()).hexdigest()[:8]}"  # a port is no part of a cookie
    answering, known = Answering(home, database), Sessions(database)
    studio, streams = Studio(home, database, answering), Streams(known)
    app = _Page(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(studio, answering, streams),
        middleware=[
            Middleware(Origin, place=place),
            Middleware(Limits, sessions=known, cookie=cookie),
            Middleware(Access, sessions=known, cookie=cookie),
            Middleware(MemberLimits, streams=streams),
        ],
        exception_handlers={
            UserError: _user_error,
            NotNowError: _unavailable,
            RequestValidationError: _nonsense,
            Exception: _fault(home),
        },
    )
    app.state.streams, app.state.studio = streams, studio
    app.state.home, app.state.database, app.state.cookie = home, database, cookie
    app.add_api_route("/api/join", join, methods=["POST"])
    app.add_api_route("/api/leave", leave, methods=["POST"])
    files.add(app, home, database)
    app.include_router(labels.router)
    static_files.add(app, Path(__file__).parent / "static")
    app.add_api_route("/studio", lambda: RedirectResponse("/studio/"), methods=["GET", "HEAD"])
    app.mount("/studio", GradioGate(studio))
    return app


class _Page(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes; the headers are around it all, for the answer to a fault of ours as well."""
        return Headers(super().build_middleware_stack())


class Token(BaseModel):
    """What a link's page sends."""

    model_config = ConfigDict(extra="forbid", strict=True)
    token: str = Field(max_length=200)
    instead: bool = False  # the person was told that somebody else is here, and wants to go on


@dataclass(frozen=True)
class _Elsewhere:
    """Somebody is here, and the link is for somebody else: their names."""

    here: str
    invited: str


async def join(request: Request, given: Token) -> Response:
    """Exchange a link's token, once, for a session's cookie; 409 where somebody else is here, unasked."""
    database: Database = request.app.state.database
    before = cookie_of(request.scope, request.app.state.cookie)
    session = await database.write(_redeem, given, before, _address(request))
    if isinstance(session, _Elsewhere):
        names = {"here": one_line(session.here), "invited": one_line(session.invited)}
        return refuse(409, "Somebody else is here, and the link is for another person.", names=names)
    if session is None:
        return refuse(
            403,
            "This link has been used or has expired.",
            do="Open the page without it, or ask for a new link.",
        )
    answer = JSONResponse({"joined": True})
    answer.set_cookie(
        request.app.state.cookie,
        session,
        max_age=DAYS * 86_400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def _redeem(store: Store, given: Token, before: str, address: str) -> str | _Elsewhere | None:
    here, invited = sessions.member_of(store, before), sessions.invited(store, given.token)
    if here and invited and here.person_id != invited.person_id:
        if not given.instead:
            return _Elsewhere(here.name, invited.name)
        _end(store, before, here.name, address)
    session = sessions.redeem(store, given.token, days=DAYS)
    member = session and sessions.member_of(store, session)
    audit.note(
        store, "joined" if member else "join refused", person=member.name if member else None, address=address
    )
    return session


async def leave(request: Request) -> Response:
    """End the session."""
    database: Database = request.app.state.database
    await database.write(_end, request.state.session, request.state.member.name, _address(request))
    answer = JSONResponse({"left": True})
    answer.delete_cookie(request.app.state.cookie, httponly=True, samesite="strict")
    return answer


def _end(store: Store, session: str, person: str, address: str) -> None:
    sessions.end(store, session)
    audit.note(store, "left", person=person, address=address)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def first_link(store: Store) -> str:
    """The token of a link for the person at this machine."""
    return sessions.invite(store, people.ME, hours=1)


def _lifespan(studio: Studio, answering: Answering, streams: Streams) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with studio, answering:
            watching = asyncio.create_task(streams.watch())
            yield
            watching.cancel()

    return lifespan


async def _nonsense(_: Request, error: Exception) -> Response:
    return refuse(422, NONSENSE, do="Reload the page.")


async def _user_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, UserError)
    return said(400, error)


async def _unavailable(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotNowError)
    return unavailable(error)


def _fault(home: Home) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    async def handle(_: Request, error: Exception) -> Response:
        if not isinstance(error, LocalProtocolError):  # the client has broken off in its midst
            print(faults.keep(home, error), flush=True)
        return refuse(500, "An unexpected fault of the program.", do="Tell who runs this page.")

    return handle
