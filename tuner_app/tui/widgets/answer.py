"""One answer of a model, and what the person did with it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from tuner_app.clean import visible
from tuner_app.conversing.dialogue import Turn, speaker
from tuner_app.tui.changes import shown
from tuner_app.tui.widgets.spoken import KEYS, Part, Spoken
from tuner_app.tui.widgets.tag_field import TagField

MARKS = {
    "good": "▲ good",
    "bad": "▼ bad",
    "correct": "✎ corrected",
    "choose": "★ the choice",
    "chosen": "★ chosen",
    "rejected": "☆ not chosen",
    "tie": "= tie",
    "both_bad": "▼ both bad",
    "skip": "skipped",
}
_ENDINGS = {
    "length": "cut off at the longest answer; F3 allows more",
    "stopped": "stopped",
    "failed": "broken off",
}


class Answer(Spoken):
    """An answer with its labels; while a correction is on the screen, `d` shows what it changed."""

    KEYS_OF = "On an answer"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "act('good')", "good", id="good"),
        Binding("x", "act('bad')", "bad", id="bad"),
        Binding("e", "act('edit')", "correct", id="correct", tooltip="correct it in its place"),
        Binding("t", "act('tag')", "why", id="tag", tooltip="say in a word why you labelled it so"),
        Binding("s", "act('second')", "second", id="second", tooltip="write a second answer and choose"),
        Binding("r", "act('again')", "again", id="again", tooltip="answer again; the old answer is kept"),
        Binding("d", "changes", "changes", id="changes", tooltip="show what the correction changed"),
        Binding("c", "act('code')", "code", id="code", tooltip="copy the code; again, the next block of it"),
        Binding("enter", "act('go_on')", "go on here", key_display="⏎", tooltip="go on from this answer"),
        Binding("enter", "act('follow')", "what followed", key_display="⏎"),
        *KEYS,
    ]

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn, classes="answer")
        self._changes = Static(markup=False, classes="changes")
        self._changes.display = False
        self.copied = 0  # how many blocks of its code

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.query("TagField, Correction"):
            return parameters == ("edit",) and not self.query(TagField)
        match action, parameters:
            case "changes", _:
                return self.turn.original is not None
            case "act", ("code",):
                return "```" in self.turn.message.content or "~~~" in self.turn.message.content
            case "act", ("follow",):
                return self.turn.goes_on
            case "act", ("go_on",):
                return not self.turn.goes_on
        return super().check_action(action, parameters)

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self._changes

    async def ask_why(self, used: list[tuple[str, int]]) -> None:
        """Open a field for tags; `used` as in `TagField`."""
        await self.mount(TagField(used), after=0)

    async def on_tag_field_given(self, event: TagField.Given) -> None:
        event.stop()
        await self.query(TagField).remove()
        self.focus()
        self.refresh_bindings()
        if event.tags:
            self.post_message(self.Acted(self, "tagged", ",".join(event.tags)))

    def action_changes(self) -> None:
        if self.turn.original:
            self._changes.display = not self._changes.display
            self._changes.update(shown(self.turn.original.content, self.turn.message.content))

    def head(self) -> list[Part]:
        turn = self.turn
        parts = [(visible(speaker(turn.message)), "bold $text-accent")]
        parts += [(f"   {MARKS[mark]}", _mark_style(mark)) for mark in turn.marks]
        parts += [(f"   #{visible(tag)}", "$text-secondary") for tag in turn.tags]
        if ending := _ENDINGS.get(turn.message.finish):
            parts.append((f"   ({ending})", "$foreground-muted"))
        return parts


def _mark_style(mark: str) -> str:
    return "bold $text-error" if mark in ("bad", "both_bad") else "bold $text-success"
