"""The keys of the page are those of the terminal."""

import re
from pathlib import Path

from textual.binding import Binding

import tuner_app.page
from tuner_app.tui.screens.label import LabelScreen
from tuner_app.tui.widgets.sheet import Sheet

KEYS_JS = Path(tuner_app.page.__file__).parent / "static/keys.js"
OF_THE_PAGE_ALONE = {"comment": ["c"], "guidelines": ["g"], "help": ["?"]}  # help is the terminal's app's


def of_the_page() -> dict[str, list[str]]:
    """Each action with its keys, as the script has them."""
    table = KEYS_JS.read_text(encoding="utf-8").split("export const ACTIONS = {")[1].split("};")[0]
    rows = re.findall(r'^\s*"?([\w-]+)"?: \[(.*)\],$', table, re.MULTILINE)
    return {action: re.findall(r'"([^"]*)"', keys) for action, keys in rows}


def test_they_are_the_same() -> None:
    bindings = [
        one for one in (*Sheet.BINDINGS, *LabelScreen.BINDINGS) if isinstance(one, Binding) and one.id
    ]
    terminal = {
        str(one.id): [" " if key == "space" else key for key in one.key.split(",")] for one in bindings
    }
    assert len(terminal) >= 11
    assert of_the_page() == terminal | OF_THE_PAGE_ALONE
