"""Someone at the keyboard of the app."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from textual.events import Paste
from textual.pilot import Pilot

from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.tui.app import TunerApp


class Person:
    """Presses keys and reads the screen."""

    def __init__(self, app: TunerApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and look before the next one, for half a second, where something is being read."""
        for key in keys:
            await self.pilot.press(key)
            end = monotonic() + 5
            while self.app._typed and self.app.is_running and monotonic() < end:  # not acted on yet
                await self.pilot.pause(0.005)
            end = monotonic() + 0.5
            while len(key) > 1 and monotonic() < end and any(w.is_running for w in self.app.workers):
                await self.pilot.pause(0.01)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def ask(self, text: str, answer: str) -> None:
        """Paste a prompt, send it, and wait for the answer to be kept."""
        await self.paste(text)
        await self.press("enter")
        await self.sees(answer)
        await self.kept()

    async def kept(self) -> None:
        """Wait for the answer that is coming to stand in the conversation."""
        await self.until(lambda: not (self.app.screen.query("Draft") or self.app.screen.writing))

    async def paste(self, text: str) -> None:
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    async def second(self) -> None:
        """From an answer, have a second one written and held against it."""
        await self.press("s")
        await self.until(lambda: bool(self.app.screen.query("Comparison")))
        await self.sees("Which is better?")

    def screen(self) -> str:
        """The characters on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)

    async def sees(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.screen() for text in texts), lambda: f"{texts} in")

    async def until(
        self, true: Callable[[], bool], what: Callable[[], str] = lambda: "", timeout: float = 20.0
    ) -> None:
        end = monotonic() + timeout
        while not true():
            assert monotonic() < end, f"waited in vain for {what()}\n{self.screen()}"
            await self.pilot.pause(0.02)


async def asked(person: Person) -> None:
    """Ask about a cow, and select the answer."""
    await person.ask("A cow?", "Moo.")
    await person.press("tab")
    await person.sees("a good")


@asynccontextmanager
async def opened(
    home: Home, size: tuple[int, int] = (80, 24), *, ready: str = "● ready", notifications: bool = False
) -> AsyncIterator[Person]:
    """The app on a home, closed like a person's at the end; its notifications are hidden unless wanted."""
    store = Store.open(home.database)
    app = TunerApp(home, store)
    try:
        async with app.run_test(size=size, notifications=notifications) as pilot:
            person = Person(app, pilot)
            await person.sees(ready)
            # the latest conversation is read beside that: nobody goes about in what is not there yet
            if app.link.state == "ready":
                await person.until(lambda: not any(worker.is_running for worker in app.workers))
            yield person
    finally:
        store.close()
