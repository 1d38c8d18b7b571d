"""Where the person types."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content

from tuner_app.tui.drafts import Drafts
from tuner_app.tui.messages import PromptLeft, PromptSubmitted
from tuner_app.tui.widgets.text_box import TextBox

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp


class PromptBox(TextBox):
    """Enter sends, Ctrl+J or Shift+Enter starts a new line, Tab leaves for the answers."""

    KEYS_OF = "Typing a prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "send", key_display="⏎", tooltip="send; in an empty box, ask again"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "new line", key_display="^j"),
        Binding("pageup", "screen.page(-1)", "", show=False, tooltip="read a page up or down"),
        Binding("pagedown", "screen.page(1)", "", show=False),
        Binding("tab", "leave", "answers", key_display="tab/esc", tooltip="go to the answers"),
        Binding("f2", "screen.next_model", "next model", key_display="F2"),
        Binding("f3", "screen.how", "how to ask", key_display="F3"),
    ]

    def __init__(self) -> None:
        super().__init__(id="prompt", placeholder="Type a prompt; Enter sends it.")

    def on_mount(self) -> None:
        if draft := self._drafts.get(self._drafts.prompt):
            self.text = draft
            self.move_cursor(self.document.end)

    def on_text_area_changed(self) -> None:
        self._drafts.put(self._drafts.prompt, self.text)

    @property
    def _drafts(self) -> Drafts:
        return cast("TunerApp", self.app).drafts

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.prevent_default()  # left to the binding
            return
        if event.key == "up" and not self.text:
            event.prevent_default()
            self.action_leave()
            return
        await super()._on_key(event)

    def tell(self, text: str) -> None:
        """Say something in the line above the box."""
        self.border_title = Content(text)

    def action_send(self) -> None:
        self.post_message(PromptSubmitted(self.text.strip()))

    def action_newline(self) -> None:
        self.insert("\n")

    def action_leave(self) -> None:
        self.post_message(PromptLeft())
