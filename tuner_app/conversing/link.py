"""The way to whoever answers: our own chat worker, or the server that the settings name."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store.rows import Maker

if TYPE_CHECKING:
    from tuner_app.client import ChatClient
    from tuner_app.workers.supervisor import Endpoint

T = TypeVar("T")
State = Literal["off", "starting", "ready", "failed"]
NAMES_SECONDS = 5.0  # so long another server may take to say what its models are called


class ModelLink:
    """Finds or starts the chat worker; `changed` is told of every change of state, with a log line or
    a reason, in the interface's loop."""

    def __init__(self, home: Home, changed: Callable[[State, str], None]) -> None:
        self._home = home
        self._tell = changed
        self._failed = False  # which has been told, with the reason
        self._one_at_a_time = asyncio.Lock()
        self._served: dict[str, list[str]] = {}  # the models of other servers, by address

    async def client(self, settings: Settings) -> "ChatClient":
        """A client of a live server for the settings' base; a UserError says why there is none."""
        from tuner_app.workers import supervisor

        ChatClient = await in_background(_client_kind)  # noqa: N806 - a class
        if settings.chat_url:
            await self._know(settings)
            self._changed("ready", "")
            return ChatClient(settings.chat_url, settings.chat_key)
        loop = asyncio.get_running_loop()

        def on_line(line: str) -> None:
            loop.call_soon_threadsafe(self._changed, "starting", line)

        def ensure() -> "Endpoint":
            alive = supervisor.chat_endpoint(self._home)
            if alive is None or alive.base != settings.base:
                on_line("")
            return supervisor.ensure_chat(self._home, settings.base, on_line=on_line)

        async with self._one_at_a_time:
            try:
                endpoint = await in_background(ensure)
            except UserError as error:
                self._changed("failed", str(error))
                raise
        self._changed("ready", "")
        return ChatClient(endpoint.url, endpoint.key)

    async def maker(self, settings: Settings, maker: Maker) -> "ChatClient":
        """A client of who has a batch's model, which may be another one than the settings name: this machine
        where they name a server of other models. A UserError where it is a model of such a server that they
        do not name."""
        if maker.base.startswith(("http://", "https://")):
            if maker.base != settings.chat_url:
                raise UserError(
                    f"“{maker.adapter}” of {maker.base} is to answer here, and the settings name "
                    f"{settings.chat_url or 'no server'} (chat_url).",
                    kept="Nothing else was asked in its place.",
                    do=f"Set chat_url to {maker.base} again, or make another batch.",
                )
            return await self.client(replace(settings, adapter=maker.adapter))
        if settings.chat_url:
            await self._know(replace(settings, adapter=""))
            if self.foreign(settings):
                settings = replace(settings, chat_url="")
        return await self.client(replace(settings, base=maker.base, adapter=maker.adapter))

    async def served(self, settings: Settings) -> list[str]:
        """The models of the server that the settings name, as it tells now."""
        from tuner_app.client import ChatClient

        self._served[settings.chat_url] = await ChatClient(settings.chat_url, settings.chat_key).models()
        return self._served[settings.chat_url]

    def foreign(self, settings: Settings) -> list[str]:
        """The models of the server that the settings name, where it is known to be no `tuner serve`."""
        names = self._served.get(settings.chat_url, [])
        return [] if "base" in names else names

    def named(self, settings: Settings) -> Settings:
        """The settings with who truly answers: of a foreign server its address, and a model of its own, the
        first where none was chosen."""
        if not (names := self.foreign(settings)):
            return settings
        return replace(settings, base=settings.chat_url, adapter=settings.adapter or names[0])

    async def _know(self, settings: Settings) -> None:
        """Learn what a server's models are called; one that does not tell is asked for ours."""
        known = self._served.get(settings.chat_url)
        try:
            if known is None or (settings.adapter and settings.adapter not in known):
                async with asyncio.timeout(NAMES_SECONDS):
                    await self.served(settings)
        except (UserError, TimeoutError):
            return
        if settings.adapter and (names := self.foreign(settings)) and settings.adapter not in names:
            raise UserError(
                f"{settings.chat_url} (chat_url) has no model “{settings.adapter}”.",
                do="Ctrl+O chooses one of its models, or lets this machine answer.",
            )

    def _changed(self, state: State, detail: str) -> None:
        self._failed = state == "failed"
        self._tell(state, detail)

    def lost(self, settings: Settings) -> UserError | None:
        """Why our own worker cannot answer any more; None while it lives, or another server is used.

        None too where it could not be started: that has a reason of its own.
        """
        from tuner_app.workers import supervisor

        if settings.chat_url or self._failed or supervisor.chat_endpoint(self._home):
            return None
        error = UserError("The chat worker has ended.", do="The next prompt starts it again.")
        self._changed("failed", str(error))
        return error


def _client_kind() -> "type[ChatClient]":
    """Brings httpx, a tenth of a second: not at the start, and not in the interface's loop."""
    from tuner_app.client import ChatClient

    return ChatClient


async def in_background(work: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread, for which quitting the app does not wait."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(future)
