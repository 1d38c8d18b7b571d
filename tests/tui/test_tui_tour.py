"""The way round: shown on a first start alone, and whenever it is asked for."""

from collections.abc import Iterator

import pytest
from person import opened
from scripted_server import ScriptedServer

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.tui.screens.tour import STEPS, TourScreen
from tuner_app.workers import supervisor


@pytest.fixture
def new_home(home: Home) -> Iterator[Home]:
    """A home without settings, where the app starts a chat worker of its own: it ends with the test."""
    home.settings.unlink()
    yield home
    supervisor.stop_chat(home)


async def test_a_first_start_shows_five_steps_and_a_second_none(
    new_home: Home, server: ScriptedServer
) -> None:
    async with opened(new_home, ready="1 of 5") as person:
        press = person.pilot.press  # a model is looked for meanwhile: nobody waits for it
        for number, (title, _) in enumerate(STEPS, 1):
            await person.sees(f"{number} of 5  {title}")
            if number == 3:
                for back, on in (("left", "right"), ("backspace", "space")):
                    await press(back)
                    await person.sees("2 of 5")
                    await press(on)
                    await person.sees("3 of 5")
            await press("enter")
        await person.until(lambda: "of 5" not in person.screen())
        await person.sees("A new conversation")
    settings.save(new_home, settings.Settings(chat_url=server.url))
    async with opened(new_home) as person:
        assert "of 5" not in person.screen()
        await person.press("ctrl+p")
        await person.type("tour")
        await person.sees("The way round")
        await person.press("enter")
        if "1 of 5" not in person.screen():  # the first Enter may only have chosen it
            await person.press("enter")
        await person.sees("of 5")
        for key in ("q", "escape"):
            await person.press(key)
            await person.until(lambda: "of 5" not in person.screen())
            await person.app.push_screen(TourScreen())
            await person.sees("1 of 5")
        await person.press("escape", "f1")
        await person.press("end")
        await person.sees("Quick start", "Chat with the result.")
