"""The keys of the screen that it was opened on, and of everywhere."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tuner_app.tui import keys
from tuner_app.tui.screens.tour import STEPS


class HelpScreen(ModalScreen[None]):
    """Any of Esc, ?, F1 and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,f1,q", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        lines = [Content.styled("Keys   (↑ ↓ scroll, Esc closes)", "bold $text-primary")]
        for where, rows in keys.groups(self.app.screen_stack[-2]):
            lines.append(Content.assemble("\n", (where, "bold")))
            lines += [Content.assemble((f"  {key:<14} ", "$text-accent"), what) for key, what in rows]
        lines += [Content.assemble("\n", ("Quick start", "bold"))]
        lines += [Content.assemble((f"  {name}. ", "$text-accent"), text) for name, text in STEPS]
        with VerticalScroll():
            yield Static(Content("\n").join(lines), markup=False)
