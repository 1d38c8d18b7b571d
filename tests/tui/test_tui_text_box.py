"""Going about in a text field."""

from person import opened
from scripted_server import ScriptedServer
from textual.widgets import TextArea

from tuner_app.paths import Home


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
