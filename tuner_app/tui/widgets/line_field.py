"""A text field of one line."""

from textual import events
from textual.reactive import reactive
from textual.widgets import Input

from tuner_app.clean import visible


class LineField(Input):
    """An Input into which control characters cannot be pasted: what is seen is what is taken.

    Its cursor stays: one that blinks would have the app, and a slow line, busy all day.
    """

    cursor_blink = reactive(False, init=False)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        super()._on_paste(events.Paste(visible(event.text.strip("\r\n").partition("\n")[0])))
