"""Gradio's part of the page, loaded beside the rest: that takes seconds, and labelling does not wait."""

import asyncio
import os
from contextlib import AsyncExitStack, suppress
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from tuner_app import faults
from tuner_app.page import lean
from tuner_app.page.access import refuse
from tuner_app.page.answering import Answering
from tuner_app.page.database import Database
from tuner_app.paths import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

# Before Gradio is imported: it reads these once.
SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    # Else each event ends with a table of the 10,000 before it, made with pandas, that nobody asks for.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000000",
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}
_one_at_a_time = Lock()  # Gradio keeps what is being built in variables of the whole process


class Studio:
    """An ASGI app: waits until Gradio is there, then is Gradio."""

    def __init__(self, home: Home, database: Database, answering: Answering) -> None:
        self._home, self._database, self._answering = home, database, answering
        self._stack = AsyncExitStack()
        self._loading: asyncio.Task[ASGIApp | None] | None = None

    async def __aenter__(self) -> None:
        self._loading = asyncio.create_task(self._load())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio's answer, once it is loaded."""
        app = await self.loaded()
        await (app or refuse(503, "The studio could not be loaded."))(scope, receive, send)

    async def loaded(self) -> ASGIApp | None:
        """Gradio's app, as soon as it is there; None where it could not be loaded."""
        return await asyncio.shield(self._loading) if self._loading else None

    async def _load(self) -> ASGIApp | None:
        try:
            host = await _in_daemon(self._build)
            await self._stack.enter_async_context(host.router.lifespan_context(host))
        except Exception as error:
            print(faults.keep(self._home, error), flush=True)
            return None
        mount = host.routes[-1]
        assert isinstance(mount, Mount)
        return mount.app

    def _build(self) -> "FastAPI":
        os.environ.update(SILENT)
        with _one_at_a_time:
            with lean.imports():
                from tuner_app.page import studio
            return studio.host(self._home, self._database, self._answering)


def _in_daemon(build: "Callable[[], FastAPI]") -> "asyncio.Future[FastAPI]":
    """What `build` gives, from a thread for whose end nobody waits when the server ends meanwhile."""
    loop = asyncio.get_running_loop()
    built: asyncio.Future[FastAPI] = loop.create_future()

    def tell(result: "FastAPI | Exception") -> None:
        if built.cancelled():
            return
        if isinstance(result, Exception):
            built.set_exception(result)
        else:
            built.set_result(result)

    def run() -> None:
        try:
            result: FastAPI | Exception = build()
        except Exception as error:
            result = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(tell, result)

    Thread(target=run, name="loading", daemon=True).start()
    return built
