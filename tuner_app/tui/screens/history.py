"""Who changed an example, when, and how."""

import difflib
import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.examples import Example, Rated
from tuner_app.clean import one_line, visible
from tuner_app.store.edits import Edit
from tuner_app.times import ago
from tuner_app.tui.screens.example import parts

LONGEST = 4000  # characters of a text that are compared word by word
_TITLE = "History   (Enter: as it was before; Esc: back)"
_WORDS = re.compile(r"\s+|\S+")


class HistoryScreen(ModalScreen[Example | None]):
    """The edits, the latest first, and what the selected one changed; Enter goes back to before it."""

    KEYS_OF = "History"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,h,q", "leave", "back")]
    DEFAULT_CSS = """
    HistoryScreen { align: center middle; }
    HistoryScreen > VerticalScroll { width: 90%; height: 90%; padding: 0 1; background: $surface;
                                     border: round $accent; }
    HistoryScreen .change { height: auto; padding: 1 1 0 1; }
    """

    def __init__(self, past: list[Edit]) -> None:
        super().__init__()
        self._past = past

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static(
                Content.styled("History   (Enter: as it was before; Esc: back)", "bold"), markup=False
            )
            yield OptionList(*(Option(Content(_headline(edit))) for edit in self._past), markup=False)
            yield Static(markup=False, classes="change")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.query_one(OptionList).highlighted = 0

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self.query_one(".change", Static).update(changed(self._past[event.option_index]))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._past[event.option_index].before)

    def action_leave(self) -> None:
        self.dismiss(None)


def _headline(edit: Edit) -> str:
    did = "removed" if edit.after is None else "restored" if edit.after == edit.before else "edited"
    return f"{ago(edit.created)}  {one_line(edit.person, 30)}  {did}"


def changed(edit: Edit) -> Content:
    """What an edit changed, word by word: [-what went-] {+what came+}."""
    before, after = edit.before, edit.after
    if after is None or after == before:
        whole = [
            Content.assemble((name, "bold"), " ", visible(text[:LONGEST])) for name, text in parts(before)
        ]
        return Content("\n").join(whole)
    lines = []
    if isinstance(before, Rated) and isinstance(after, Rated) and before.good != after.good:
        words = ("good", "bad") if before.good else ("bad", "good")
        lines.append(Content.assemble(("thumb", "bold"), " ", difference(*words)))
    for (name, old), (_, new) in zip(parts(before), parts(after), strict=False):
        if old != new:
            lines.append(Content.assemble((name, "bold"), " ", difference(old[:LONGEST], new[:LONGEST])))
    return Content("\n").join(lines)


def difference(before: str, after: str) -> Content:
    """Two texts as one: [-what went-] and {+what came+}, in signs as well as in colour."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    shown: list[Content | str | tuple[str, str]] = []
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        went, came = visible("".join(old[a:b])), visible("".join(new[c:d]))
        if what == "equal":
            shown.append(went)
            continue
        if went:
            shown.append((f"[-{went}-]", "$text-error"))
        if came:
            shown.append((f"{{+{came}+}}", "$text-success"))
    return Content.assemble(*shown)
