"""One line asked of the person, over the screen."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tuner_app.clean import visible
from tuner_app.tui.widgets.line_field import LineField


class QuestionScreen(ModalScreen[str]):
    """Enter answers, Esc answers nothing (""); what is `known` is offered while it is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]
    DEFAULT_CSS = """
    QuestionScreen { align: center middle; }
    QuestionScreen Vertical { width: 70; max-width: 100%; height: auto; padding: 1 2; background: $surface;
                              border: round $accent; }
    QuestionScreen .hint { color: $foreground-muted; height: auto; }
    """

    def __init__(self, question: str, *, hint: str, known: Sequence[str] = (), value: str = "") -> None:
        super().__init__()
        self._question = question
        self._hint = hint
        self._known = [one for one in known if one == visible(one)]
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content.styled(self._question, "bold"), markup=False)
            yield LineField(self._value, suggester=SuggestFromList(self._known), compact=True)
            yield Static(Content(self._hint), markup=False, classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss("")
