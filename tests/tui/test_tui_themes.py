"""Colours that a person chose."""

from dataclasses import replace

from person import opened
from scripted_server import ScriptedServer

from tuner_app import settings
from tuner_app.paths import Home


async def test_a_theme_that_was_chosen_is_there_at_the_next_start(home: Home, server: ScriptedServer) -> None:
    before = settings.load(home)
    async with opened(home) as person:
        usual = person.app.theme
        assert settings.load(home) == before, "nothing is kept that was not chosen"
        await person.press("ctrl+p")
        await person.type("theme")
        await person.sees("Change the current theme")
        await person.press("enter")
        await person.sees("ansi-dark")
        await person.type("textual-light")
        await person.until(lambda: "ansi-dark" not in person.screen())
        await person.press("enter")
        await person.until(lambda: settings.load(home).theme == "textual-light")
        assert person.app.theme == "textual-light"
    assert settings.load(home) == replace(before, theme="textual-light")
    async with opened(home) as person:
        assert person.app.theme == "textual-light"
    settings.save(home, replace(before, theme="no such theme"))
    async with opened(home) as person:
        assert person.app.theme == usual
