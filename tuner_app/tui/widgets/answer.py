"""One answer of a model, and what the person did with it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tuner_app.clean import visible
from tuner_app.tui.dialogue import Turn, speaker
from tuner_app.tui.messages import CorrectionAbandoned, CorrectionWritten
from tuner_app.tui.widgets.editor import Editor

MARKS = {
    "good": "▲ good",
    "bad": "▼ bad",
    "correct": "✎ corrected",
    "chosen": "★ chosen",
    "rejected": "☆ not chosen",
    "tie": "= tie",
    "both_bad": "▼ both bad",
    "skip": "skipped",
}
_ENDINGS = {
    "length": "cut off at the longest answer; max_tokens in settings.json allows more",
    "stopped": "stopped",
    "failed": "broken off",
}


class Answer(Vertical, can_focus=True):
    """The labelling keys live here, so they are dead wherever a text field has the focus."""

    KEYS_OF = "On an answer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('good')", "good", id="good"),
        Binding("x", "act('bad')", "bad", id="bad"),
        Binding("e", "act('correct')", "correct", id="correct", tooltip="correct it in its place"),
        Binding("s", "act('second')", "second", id="second", tooltip="write a second answer and choose"),
        Binding("r", "act('again')", "again", id="again", tooltip="answer again; the old answer is kept"),
        Binding("u", "act('undo')", "undo", id="undo", tooltip="take back your last label on it"),
        Binding(
            "left", "act('older')", "", show=False, key_display="← →", tooltip="other answers to its question"
        ),
        Binding("right", "act('newer')", "", show=False),
        Binding(
            "up",
            "step(-1)",
            "select",
            key_display="↑↓",
            tooltip="select another; below the last is the prompt",
        ),
        Binding("down", "step(1)", "", show=False),
        Binding("escape,tab", "screen.back", "type", key_display="esc", tooltip="back to the prompt"),
    ]

    class Acted(Message):
        """A key was pressed on this answer, or a corrected `text` handed in."""

        def __init__(self, answer: "Answer", act: str, text: str = "") -> None:
            super().__init__()
            self.answer = answer
            self.act = act
            self.text = text

    class Stepped(Message):
        """The person wants the next (1) or the previous (-1) answer."""

        def __init__(self, answer: "Answer", by: int) -> None:
            super().__init__()
            self.answer = answer
            self.by = by

    def __init__(self, turn: Turn) -> None:
        super().__init__(classes="answer")
        self.turn = turn
        self.unsaved = ""
        self._by = Static(markup=False, classes="by")
        self._said = Static(markup=False, classes="said")

    def compose(self) -> ComposeResult:
        yield self._by
        yield self._said

    def on_mount(self) -> None:
        self._show()

    def update(self, turn: Turn) -> None:
        """Show `turn`, the same message with other labels."""
        self.turn = turn
        self._show()

    def not_saved(self, what: str) -> None:
        """Say that the label `what` ("" for none) is not saved yet."""
        self.unsaved = what
        self._show()

    async def edit(self) -> None:
        """Put a text field in place of the text."""
        if self.query(Editor):
            self.query_one(Editor).focus()
            return
        self._said.display = False
        editor = Editor(self.turn.message.content)
        await self.mount(editor)
        editor.focus()
        editor.move_cursor(editor.document.end)
        editor.scroll_visible(animate=False)

    async def stop_editing(self) -> None:
        """Put the text back."""
        await self.query(Editor).remove()
        self._said.display = True
        self.focus()
        self.refresh_bindings()

    def on_correction_written(self, event: CorrectionWritten) -> None:
        event.stop()
        self.post_message(self.Acted(self, "corrected", event.text))

    async def on_correction_abandoned(self, event: CorrectionAbandoned) -> None:
        event.stop()
        await self.stop_editing()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if parameters in (("older",), ("newer",)):
            return self.turn.alternatives > 1
        return not self.query(Editor) or parameters == ("correct",)

    def action_act(self, act: str) -> None:
        self.post_message(self.Acted(self, act))

    def action_step(self, by: int) -> None:
        self.post_message(self.Stepped(self, by))

    def _show(self) -> None:
        turn = self.turn
        parts = [(visible(speaker(turn.message)), "bold $text-accent")]
        parts += [(f"   {MARKS[mark]}", _mark_style(mark)) for mark in turn.marks]
        if turn.alternatives > 1:
            parts.append((f"   ← answer {turn.place} of {turn.alternatives} →", "$foreground-muted"))
        if ending := _ENDINGS.get(turn.message.finish):
            parts.append((f"   ({ending})", "$foreground-muted"))
        if self.unsaved:
            parts.append((f"   ✗ {self.unsaved}: not saved, Ctrl+S tries again", "bold $text-error"))
        self._by.update(Content.assemble(*parts))
        text = Content(visible(turn.message.content))
        if turn.original:
            before = f"\n{speaker(turn.original)} had said: {visible(turn.original.content)}"
            text += Content.styled(before, "$foreground-muted")
        self._said.update(text)


def _mark_style(mark: str) -> str:
    return "bold $text-error" if mark in ("bad", "both_bad") else "bold $text-success"
