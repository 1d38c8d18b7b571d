"""A title, changed in its place."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from tuner_app.clean import visible
from tuner_app.tui.widgets.line_field import LineField


class TitleField(LineField):
    """A text field over one line of the screen; it goes when it is left."""

    KEYS_OF = "A title"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "rename", key_display="⏎"),
        Binding("escape", "abandon", "leave it", key_display="esc"),
    ]
    DEFAULT_CSS = """
    TitleField, TitleField.-textual-compact {
        overlay: screen; position: absolute; width: 100%; height: 1; padding: 0 1 0 17; background: $panel;
    }
    """

    class Left(Message):
        """The field was left with this `title`: "" where nothing is to change."""

        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    def __init__(self, title: str, *, line: int) -> None:
        self._shown = visible(title).replace("\n", " ")
        super().__init__(self._shown, compact=True, select_on_focus=False)
        self.styles.offset = (0, line)

    def on_mount(self) -> None:
        self.focus()

    def on_blur(self, _: events.Blur) -> None:
        self._leave("")

    async def action_submit(self) -> None:
        self._leave(self.value.strip())

    def action_abandon(self) -> None:
        self._leave("")

    def _leave(self, title: str) -> None:
        if not self._pruning:
            self.post_message(self.Left("" if title == self._shown else title))
            self.remove()
