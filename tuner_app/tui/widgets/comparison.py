"""Two answers side by side, and which is better."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tuner_app.clean import visible
from tuner_app.conversing.dialogue import speaker
from tuner_app.conversing.judged import Label
from tuner_app.store.rows import Message as StoredMessage
from tuner_app.store.rows import Verb
from tuner_app.tui.widgets.editor import Correction
from tuner_app.tui.widgets.prose import Prose
from tuner_app.tui.widgets.tag_field import TagField

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

_VERDICTS = {"tie": "= tie", "both_bad": "▼ both bad", "skip": "skipped"}


class Panel(VerticalScroll, can_focus=False):
    """One of the two replies, framed and numbered."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(Prose(text), classes="panel")
        self.text = text
        self.title(str(number))

    def title(self, text: str) -> None:
        """Write `text` into the frame."""
        self.border_title = Content(f" {visible(text)} ")


class Comparison(Vertical, can_focus=True):
    """Blind until the choice is made; `shown` are the replies' indices in the order of the screen."""

    KEYS_OF = "Between two answers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "1,f",
            "choose(0)",
            "first",
            key_display="1/f",
            id="choose-first",
            tooltip="the first shown is better",
        ),
        Binding(
            "2,j",
            "choose(1)",
            "second",
            key_display="2/j",
            id="choose-second",
            tooltip="the second shown is better",
        ),
        Binding("0", "judge('tie')", "tie", id="tie", tooltip="a tie: feeds nothing"),
        Binding("b", "judge('both_bad')", "both bad", id="both-bad"),
        Binding(
            "e",
            "edit",
            "correct",
            key_display="←→ e",
            id="correct-better",
            tooltip="mark one, and correct it: it counts as better",
        ),
        Binding("left,up", "mark(0)", "", show=False),
        Binding("right,down", "mark(1)", "", show=False),
        Binding("space", "judge('skip')", "skip", id="skip"),
        Binding("t", "why", "why", id="tag-choice", tooltip="say in a word why you chose so"),
        Binding("u", "undo", "undo", id="undo-choice", tooltip="take the choice back"),
        Binding("enter", "go_on", "go on", key_display="⏎", tooltip="go on with the chosen one"),
        Binding("m", "source", "source", id="source-of-two", tooltip="show the texts as they were written"),
        Binding("pageup", "page(-1)", "", show=False, tooltip="both, a page up or down"),
        Binding("pagedown", "page(1)", "", show=False),
        Binding("escape,tab", "screen.back", "type", key_display="esc"),
    ]

    class Judged(Message):
        """A verdict; `reply` is the reply's index (None where the verdict is about both)."""

        def __init__(
            self, comparison: "Comparison", verb: Verb, reply: int | None = None, text: str | None = None
        ) -> None:
            super().__init__()
            self.comparison = comparison
            self.verb = verb
            self.reply = reply
            self.text = text

    class Undone(Message):
        """The verdict that was saved is to be taken back."""

        def __init__(self, comparison: "Comparison") -> None:
            super().__init__()
            self.comparison = comparison

    class Asked(Undone):
        """The person wants to say why."""

    class Tagged(Message):
        """Tags were typed for the verdict."""

        def __init__(self, comparison: "Comparison", tags: list[str]) -> None:
            super().__init__()
            self.comparison = comparison
            self.tags = tags

    class Finished(Undone):
        """The person has seen what was saved and goes on."""

    def __init__(self, replies: tuple[StoredMessage, StoredMessage], shown: tuple[int, int]) -> None:
        super().__init__(id="comparison")
        self.replies = replies
        self.shown = shown
        self.given: Label | None = None
        self._marked = 0
        self._source = False

    def compose(self) -> ComposeResult:
        yield Static(markup=False, classes="ask")
        with Container(classes="sides"):
            for place, reply in enumerate(self.shown):
                yield Panel(place + 1, self.replies[reply].content)

    def on_mount(self) -> None:
        self.ask()

    def ask(self) -> None:
        """(Again) ask which is better, and hide whose they are."""
        self.given = None
        for place, panel in enumerate(self.query(Panel)):
            panel.title(str(place + 1))
            panel.remove_class("-chosen")
        self._say("Which is better? Whose each is, is shown after you choose.")
        self.action_mark(0)
        self.refresh_bindings()

    def reveal(self, given: Label, fed: str) -> None:
        """The verdict is saved: say whose each was and what it fed."""
        self.given = given
        for place, panel in enumerate(self.query(Panel)):
            reply = self.shown[place]
            better = reply == given.reply
            said = _VERDICTS.get(given.verb, "★ chosen" if better else "not chosen")
            if given.verb == "correct":
                said = "✎ corrected" if better else "not chosen"
            panel.title(f"{place + 1} · {speaker(self.replies[reply])} · {said}")
            panel.set_class(better, "-chosen")
            panel.remove_class("-marked")
        self._say(f"Saved. Fed {fed}. Enter goes on, u takes it back.")
        self.refresh_bindings()

    def not_saved(self) -> None:
        """The verdict could not be saved; the notice says why."""
        self._say("Your verdict is NOT saved yet. Ctrl+S tries again; or press another key.")

    def on_correction_written(self, event: Correction.Written) -> None:
        event.stop()
        self.post_message(self.Judged(self, "correct", self.shown[self._marked], event.text))

    async def on_correction_abandoned(self, event: Correction.Abandoned) -> None:
        event.stop()
        await self.stop_editing()
        self.ask()

    async def stop_editing(self) -> None:
        """Put the marked reply's text back."""
        await self.query(Correction).remove()
        self._panel.query_one(Prose).display = True
        self.focus()
        self.refresh_bindings()

    async def ask_why(self, used: list[tuple[str, int]]) -> None:
        """Open a field for tags; `used` as in `TagField`."""
        await self.mount(TagField(used), after=0)

    async def on_tag_field_given(self, event: TagField.Given) -> None:
        event.stop()
        await self.query(TagField).remove()
        self.focus()
        self.refresh_bindings()
        if event.tags:
            self.post_message(self.Tagged(self, event.tags))

    def tagged(self, tags: Iterable[str]) -> None:
        """Say which tags the verdict has."""
        given = ", ".join(f"#{visible(tag)}" for tag in tags) or "no tag"
        self._say(f"Saved: {given}. Enter goes on, u takes the choice back.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if self.query("Correction, TagField"):
            return False
        if action in ("undo", "go_on", "why"):
            return self.given is not None
        return self.given is None or action not in ("choose", "judge", "edit", "mark")

    def action_mark(self, place: int) -> None:
        self._marked = place
        for number, panel in enumerate(self.query(Panel)):
            panel.set_class(number == place, "-marked")
        self._panel.scroll_visible(animate=False)

    def action_choose(self, place: int) -> None:
        self.post_message(self.Judged(self, "choose", self.shown[place]))

    def action_judge(self, verb: Verb) -> None:
        self.post_message(self.Judged(self, verb))

    async def action_edit(self) -> None:
        panel = self._panel
        panel.query_one(Prose).display = False
        draft = cast("TunerApp", self.app).drafts.get(self._draft)
        await panel.mount(Correction(panel.text, draft, keep=self.keep_draft))
        self._say("Correct it; it will count as the better one. Ctrl+S saves, Esc leaves.")
        self.refresh_bindings()

    def action_source(self) -> None:
        self._source = not self._source
        for panel in self.query(Panel):
            panel.query_one(Prose).show(panel.text, markdown=not self._source)

    def action_page(self, by: int) -> None:
        for panel in self.query(Panel):
            panel.scroll_relative(y=by * max(panel.size.height - 1, 1), animate=False)

    def action_why(self) -> None:
        self.post_message(self.Asked(self))

    def action_undo(self) -> None:
        self.post_message(self.Undone(self))

    def action_go_on(self) -> None:
        self.post_message(self.Finished(self))

    @property
    def _panel(self) -> Panel:
        return list(self.query(Panel))[self._marked]

    def keep_draft(self, text: str) -> None:
        """Keep what is in the editor of the marked reply; "" for nothing."""
        cast("TunerApp", self.app).drafts.put(self._draft, text)

    @property
    def _draft(self) -> str:
        return f"message-{self.replies[self.shown[self._marked]].uid}"

    def _say(self, text: str) -> None:
        self.query_one(".ask", Static).update(Content(text))
