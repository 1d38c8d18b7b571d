"""A plain multi-line text field."""

from textual import events
from textual.widgets import TextArea

from tuner_app.clean import visible


class TextBox(TextArea):
    """A TextArea into which control characters cannot be pasted: what is seen is what is saved."""

    def __init__(self, text: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(
            visible(text), id=id, placeholder=placeholder, compact=True, highlight_cursor_line=False
        )

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        clean = events.Paste(visible(event.text.replace("\r\n", "\n").replace("\r", "\n")))
        await super()._on_paste(clean)
