"""A plain multi-line text field."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.reactive import Reactive, reactive
from textual.widgets import TextArea

from tuner_app.clean import visible


class TextBox(TextArea):
    """A TextArea into which control characters cannot be pasted: what is seen is what is saved.

    Home and End go along a line as it is wrapped, with Ctrl along the whole text; with Shift they select.
    """

    cursor_blink: Reactive[bool] = reactive(False, init=False)  # as a `LineField`'s
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "ctrl+home", "go_to_start", show=False, tooltip="to the text's start; with Shift, select to it"
        ),
        Binding("ctrl+end", "go_to_end", show=False, tooltip="to the text's end; with Shift, select to it"),
        Binding("ctrl+shift+home", "go_to_start(True)", show=False),
        Binding("ctrl+shift+end", "go_to_end(True)", show=False),
    ]

    def __init__(self, text: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            visible(text), id=id, placeholder=placeholder, compact=True, highlight_cursor_line=False
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "undo" and not self.history.undo_stack:
            return False  # Ctrl+Z goes on to the app, which puts itself aside
        return super().check_action(action, parameters)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        clean = events.Paste(visible(event.text.replace("\r\n", "\n").replace("\r", "\n")))
        await super()._on_paste(clean)

    def action_go_to_start(self, select: bool = False) -> None:
        self.move_cursor(self.document.start, select=select)

    def action_go_to_end(self, select: bool = False) -> None:
        self.move_cursor(self.document.end, select=select)
