"""A message of the conversation that can be selected: what a question and an answer have in common."""

from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tuner_app.conversing.dialogue import Turn
from tuner_app.tui.widgets.editor import Correction
from tuner_app.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

Part = tuple[str, str]  # text and style

# The keys of every message, which stand behind its own.
KEYS: list[BindingType] = [
    Binding("m", "source", "source", id="source", tooltip="show the text as it was written, or as Markdown"),
    Binding("y", "act('copy')", "copy", id="copy", tooltip="copy the text"),
    Binding("u", "act('undo')", "undo", id="undo", tooltip="take back a label: this one's, or the latest"),
    Binding("left", "act('older')", "branch", key_display="←→", tooltip="go between branches"),
    Binding("right", "act('newer')", "", show=False),
    Binding("up", "step(-1)", "select", key_display="↑↓", tooltip="select another message"),
    Binding("down", "step(1)", "", show=False),
    Binding("pageup", "screen.page(-1)", "", show=False, tooltip="a page up or down"),
    Binding("pagedown", "screen.page(1)", "", show=False),
    Binding("home", "step(-1000000)", "", show=False, tooltip="first message"),
    Binding("end", "step(1000000)", "", show=False, tooltip="last message"),
    Binding("escape,tab", "screen.back", "type", key_display="esc", tooltip="back to the prompt"),
]


class Spoken(Vertical, can_focus=True):
    """Who speaks and what is to be known of it, in a line; below it what is said.

    The keys live here, so they are dead wherever a text field has the focus.
    """

    class Acted(Message):
        """A key was pressed on this message, or a `text` handed in."""

        def __init__(self, spoken: "Spoken", act: str, text: str = "") -> None:
            super().__init__()
            self.spoken = spoken
            self.act = act
            self.text = text

    class Stepped(Message):
        """The person wants the message so many places further down."""

        def __init__(self, spoken: "Spoken", by: int) -> None:
            super().__init__()
            self.spoken = spoken
            self.by = by

    def __init__(self, turn: Turn, *, classes: str) -> None:
        super().__init__(classes=classes)
        self.turn = turn
        self.unsaved = ""
        self._source = False
        self._head = Static(markup=False, classes="by")
        self._said = Prose(turn.message.content)

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._said

    def on_mount(self) -> None:
        self._show()

    def update(self, turn: Turn) -> None:
        """Show `turn`, the same message with other labels."""
        if turn != self.turn:
            self.turn = turn
            self._show()

    def not_saved(self, what: str) -> None:
        """Say that `what` ("" for nothing) is not saved yet."""
        self.unsaved = what
        self._show()

    async def edit(self) -> None:
        """Put a text field in place of the text."""
        if self.query(Correction):
            self.query_one(Correction).editor.focus()
            return
        self._said.display = False
        message = self.turn.message
        prompt = message.role == "user"
        correction = Correction(message.content, self.draft, keep=self.keep_draft, prompt=prompt)
        await self.mount(correction, after=self._said)
        self.refresh_bindings()

    async def stop_editing(self) -> None:
        """Put the text back."""
        await self.query(Correction).remove()
        self._said.display = True
        self._show()
        self.focus(scroll_visible=False)
        self.refresh_bindings()

    def on_correction_written(self, event: Correction.Written) -> None:
        event.stop()
        self.post_message(self.Acted(self, "written", event.text))

    async def on_correction_abandoned(self, event: Correction.Abandoned) -> None:
        event.stop()
        await self.stop_editing()
        self.post_message(self.Acted(self, "left", event.text))

    @property
    def draft(self) -> str:
        """What was begun in the editor and is not saved."""
        return cast("TunerApp", self.app).drafts.get(f"message-{self.turn.message.uid}")

    def keep_draft(self, text: str) -> None:
        """Keep what is in the editor; "" for nothing."""
        cast("TunerApp", self.app).drafts.put(f"message-{self.turn.message.uid}", text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if parameters in (("older",), ("newer",)):
            return self.turn.alternatives > 1
        return not self.query(Correction) or parameters == ("edit",)

    def action_act(self, act: str) -> None:
        self.post_message(self.Acted(self, act))

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(self, by))

    def action_source(self) -> None:
        self._source = not self._source
        self._show()

    def head(self) -> list[Part]:
        """What stands in the first line before all that holds for every message."""
        return []

    def _show(self) -> None:
        turn = self.turn
        parts = self.head()
        if turn.alternatives > 1:
            parts.append((f"   ← {turn.place} of {turn.alternatives} →", "$foreground-muted"))
        if self._source:
            parts.append(("   source", "$foreground-muted"))
        elif self._said.is_long:
            parts.append(("   long: shown as it was written", "$foreground-muted"))
        if self.draft:
            parts.append(("   ✎ draft: e goes on with it", "$text-warning"))
        if turn.goes_on:
            parts.append(("   ⏎ shows what followed", "$foreground-muted"))
        if self.unsaved:
            parts.append((f"   ✗ {self.unsaved}: not saved, Ctrl+S tries again", "bold $text-error"))
        self._head.update(Content.assemble(*parts))
        self._said.show(turn.message.content, markdown=not self._source)
