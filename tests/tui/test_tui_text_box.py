"""Going about in a text field."""

import pytest
from person import opened
from scripted_server import ScriptedServer
from textual.events import Key
from textual.widgets import Input, TextArea

from tuner_app.paths import Home
from tuner_app.tui.app import TunerApp


async def test_ctrl_home_and_ctrl_end_go_along_a_wrapped_text_and_select(
    home: Home, server: ScriptedServer
) -> None:
    text = "word " * 60 + "\n" + "last " * 60  # each of the two lines is wrapped
    async with opened(home) as person:
        await person.paste(text)
        box = person.app.screen.query_one("PromptBox", TextArea)
        await person.press("home")
        assert box.cursor_location > (1, 0), "the start of what is wrapped"
        await person.press("ctrl+home")
        await person.type("Truly. ")
        assert box.text == f"Truly. {text}"
        await person.press("ctrl+end", "!", "ctrl+shift+home")
        assert box.selected_text == f"Truly. {text}!"
        await person.press("ctrl+home", "ctrl+shift+end")
        assert box.selected_text == f"Truly. {text}!"
        await person.press("f1")
        await person.sees("^home", "to the text's start", "^end", "to the text's end")
        keys = person.screen().partition("Keys ")[2]
        assert keys.index("Typing a prompt") < keys.index("^home"), "what has the focus comes first"


async def test_ctrl_z_takes_back_what_was_typed_and_then_puts_the_app_aside(
    home: Home, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside: list[str] = []
    monkeypatch.setattr(TunerApp, "action_suspend_process", lambda app: aside.append("aside"))
    async with opened(home) as person:
        box = person.app.screen.query_one("PromptBox", TextArea)
        await person.type("word")
        await person.press("ctrl+z")
        await person.until(lambda: box.text == "")
        assert not aside
        await person.press("ctrl+z")
        await person.until(lambda: aside == ["aside"])


async def test_keys_that_come_at_once_are_acted_on_in_their_order(home: Home, server: ScriptedServer) -> None:
    def burst(*keys: str) -> None:
        for key in keys:
            person.app.post_message(Key(key, key if len(key) == 1 else None))

    async with opened(home) as person:
        box = person.app.screen.query_one("PromptBox", TextArea)
        burst("w", "e", "backspace", "o", "r", "l", "d", "home", "h", "i", "ctrl+end", "!", "ctrl+home", "O")
        await person.until(lambda: box.text == "Ohiworld!", lambda: box.text)
        burst("ctrl+end", "?", "enter", "m", "o", "r", "e")
        await person.sees("Ohiworld!?", "ok")
        await person.until(lambda: box.text == "more", lambda: box.text)
        await person.kept()
        burst("escape", "a", "escape", "s")
        await person.sees("Fed 1 thumb")
        await person.until(lambda: box.text == "mores", lambda: box.text)
        burst("ctrl+l", "slash", "w", "o", "r")
        await person.until(lambda: [field.value for field in person.app.screen.query(Input)] == ["wor"])
        assert box.text == "mores"


async def test_who_goes_to_the_prompt_while_a_label_is_shown_stays_there(
    home: Home, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(home) as person:
        await person.ask("hi", "ok")
        await person.press("tab")
        screen, box = person.app.screen, person.app.screen.query_one("PromptBox", TextArea)
        reload = screen.reload

        async def reloaded() -> None:
            await reload()
            box.focus()

        monkeypatch.setattr(screen, "reload", reloaded)
        await person.press("a")
        await person.sees("Fed 1 thumb")
        await person.press("x")
        assert box.text == "x"
