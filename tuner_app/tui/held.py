"""What the app says of a database that it has to wait for."""

import asyncio
from typing import TYPE_CHECKING, cast

from textual.app import App
from textual.message import Message
from textual.reactive import var

from tuner_app.tui.messages import WatchFailed

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

LOOK_SECONDS = 0.1


class HeldApp(App[None]):
    """An app that says so while another program holds the database for long, and when that is over.

    `held` is true meanwhile. What is given up after some more seconds says so where it was to be saved.
    """

    held: var[bool] = var(False)

    class LongWait(Message):
        """Something that is to be read or written has waited for long."""

    def on_mount(self) -> None:
        self._waiting = cast("TunerApp", self).store.waiting
        self._waiting.on_long = self._wonder

    def _wonder(self) -> None:
        self.post_message(self.LongWait())

    async def on_held_app_long_wait(self) -> None:
        if not self.held:
            self.held = True
            self.run_worker(self._until_it_is_over())

    async def _until_it_is_over(self) -> None:
        while self._waiting.goes_on:
            await asyncio.sleep(LOOK_SECONDS)
        self.held = False
        if not self._waiting.in_vain:
            self.notify("The database is free again.")

    def on_watch_failed(self, event: WatchFailed) -> None:
        self.notify(event.reason, severity="error", markup=False)
