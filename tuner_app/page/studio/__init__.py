"""The studio: chat, writing and what runs the labelling, made with Gradio, beside the labelling page."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.page.database import Database


class Studio:
    """An ASGI app for `app.mount("/studio", …)` behind the page's access checks.

    Importing Gradio takes seconds, for which labelling is not to wait: it begins in a thread when `running`
    is entered, and the first request to the studio waits for its end.
    """

    def __init__(self, database: "Database", home: Home) -> None:
        self._database, self._home = database, home
        self._app: asyncio.Future[ASGIApp] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For the server's lifespan: the studio is there inside of it, and has kept what it did after it."""
        self._app = asyncio.get_running_loop().create_future()
        ending = asyncio.Event()
        serving = asyncio.create_task(self._serve(self._app, ending))
        try:
            yield
        finally:
            ending.set()
            await serving

    async def _serve(self, ready: asyncio.Future[ASGIApp], ending: asyncio.Event) -> None:
        try:
            frame = await asyncio.to_thread(importlib.import_module, "tuner_app.page.studio.frame")
            app = await asyncio.to_thread(frame.app, self._database, self._home)
        except BaseException as error:
            ready.set_exception(error)
            raise
        async with app.router.lifespan_context(app):
            ready.set_result(app)
            await ending.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as soon as the studio can."""
        assert self._app, "a request outside of running()"
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)
