"""Why, in a word: tags for a label."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tuner_app.clean import visible
from tuner_app.tui.widgets.line_field import LineField

_LISTED = 12


class TagInput(LineField):
    """One line; Tab or → takes what is suggested."""

    KEYS_OF = "Saying why"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "add, or take away", key_display="⏎"),
        Binding("tab", "cursor_right", "complete", key_display="tab", tooltip="take what is suggested"),
        Binding("escape", "leave", "leave", key_display="esc"),
    ]

    def action_leave(self) -> None:
        self.post_message(TagField.Given([]))


class TagField(Vertical):
    """Tags are typed here, several with commas between; `used` are those used so far, most used first."""

    DEFAULT_CSS = "TagField { height: auto; } TagField Static { height: auto; color: $foreground-muted; }"

    class Given(Message):
        """The tags that were typed; none when the person left."""

        def __init__(self, tags: list[str]) -> None:
            super().__init__()
            self.tags = tags

    def __init__(self, used: list[tuple[str, int]]) -> None:
        super().__init__()
        self._used = used

    def compose(self) -> ComposeResult:
        suggester = SuggestFromList([tag for tag, _ in self._used], case_sensitive=False)
        yield TagInput(placeholder="why? a word or two", compact=True, suggester=suggester)
        known = "   ".join(f"{visible(tag)} {uses}" for tag, uses in self._used[:_LISTED])
        yield Static(Content(known), markup=False)

    def on_mount(self) -> None:
        self.query_one(TagInput).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Given([tag for tag in map(str.strip, event.value.split(",")) if tag]))
