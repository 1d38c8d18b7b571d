"""Labelling: one item after the other, each label on disk before the next one is shown."""

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from engine.errors import UserError
from tuner_app import settings as settings_file
from tuner_app.conversing import judged
from tuner_app.store import batches, labels, tags
from tuner_app.store.rows import Batch, LabelEvent, Reply, Verb, Waiting
from tuner_app.tui.queue import Shown
from tuner_app.tui.screens.base import Saving
from tuner_app.tui.screens.feeding import FeedingScreen
from tuner_app.tui.widgets.editor import Correction
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.line_field import LineField
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.sheet import Sheet
from tuner_app.tui.widgets.tag_field import TagField
from tuner_app.tui.widgets.tally import Tally
from tuner_app.tui.widgets.top_bar import TopBar

SAID = {"tie": "A tie", "both_bad": "Both bad", "skip": "Skipped", "good": "Good", "bad": "Bad"}
ONLY = {"pair": ("tie", "both_bad"), "single": ("good", "bad")}


class LabelScreen(FeedingScreen):
    """The keys are the sheet's. Answers are written while the screen is open."""

    KEYS_OF = "Labelling"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "why", "why", id="tag", tooltip="say in a word why the last label was given"),
        Binding("g", "goal", "goal", tooltip="how many labels you mean to give in a day"),
        Binding("r", "try_again", "try again", tooltip="have the prompts without answers answered after all"),
        Binding("escape", "back", "batches", key_display="esc", tooltip="back to the batches"),
    ]
    DEFAULT_CSS = """
    LabelScreen Correction { max-height: 50%; border-top: solid $accent; }
    LabelScreen Correction .changes { padding: 0 1; }
    LabelScreen #goal, LabelScreen TagField { padding: 0 1; }
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch)
        self._saving = False
        self._last = ""

    def compose(self) -> ComposeResult:
        yield TopBar(f"label · {self.chosen.name}")
        yield Sheet()
        yield Tally()
        yield Notice()
        yield KeyBar(field="keep it")

    # --- judging

    def action_choose(self, place: int) -> None:
        if shown := self.queue.current:
            self._judge("choose", {"reply": shown.order[place]})

    def action_judge(self, verb: Verb) -> None:
        self._judge(verb)

    def _judge(self, verb: Verb, value: dict[str, Any] | None = None) -> None:
        shown = self.queue.current
        if shown is None or self._saving:
            return  # the label before this one is being saved: the screen still shows what that was about
        self._saving = True
        uid = uuid4().hex
        write = partial(
            self.tuner.database, batches.judge, shown.waiting, verb, value=value, shown=shown.order, uid=uid
        )
        self.save("label", Saving("This label", write, partial(self._judged, shown), self._not_saved))

    async def _judged(self, shown: Shown, event: LabelEvent | None) -> None:
        """The label is on disk, or another one was there first."""
        self._saving = False
        if self.queue.current is not shown:
            return  # an earlier try was saved after all, and the person has seen that
        self.notice.clear()
        tally = self.query_one(Tally)
        if event is None:
            tally.say("This one was judged in another window meanwhile: that label stands.", "✗")
        else:
            tally.say(_told(shown, event), "✓")
            self._last = event.uid
            self.clock.tick()
        self.far = replace(self.far, judged=self.far.judged + 1, ready=max(0, self.far.ready - 1))
        for correction in self.query(Correction):
            correction.keep("")
            await self._stop_editing()
        self.advance()
        self.filling.changed()

    def _not_saved(self) -> None:
        self._saving = False
        self.query_one(Tally).say("This label is NOT saved. Ctrl+S tries again; or press another key.", "✗")

    def action_undo(self) -> None:
        if not self._saving:
            write = partial(self.tuner.database, batches.undo_last, self.chosen.id, uid=uuid4().hex)
            self.save("undo", Saving("The undo", write, self._undone))

    async def _undone(self, waiting: Waiting | None) -> None:
        tally = self.query_one(Tally)
        if waiting is None:
            tally.say("There is no label of yours in this batch to take back.", "✗")
            return
        self.queue.go_back(Shown.of(waiting, self.query_one(Sheet).place, differing=self.differing))
        self._last = ""
        self.clock.back()
        self.far = replace(self.far, judged=self.far.judged - 1, ready=self.far.ready + 1)
        tally.say("Taken back. Judge it again, or skip it.", "✓")
        self.draw()
        self.refresh_bindings()

    # --- correcting

    def action_mark(self, place: int) -> None:
        self.marked = place
        self.draw(stay=True)

    async def action_correct(self) -> None:
        shown = self.queue.current
        if shown is None or self.query(Correction):
            return
        if self.marked is None:
            self.marked = self._begun() or 0
        name, drafts = _draft(shown, self.marked), self.tuner.drafts
        original = shown.waiting.item.replies[shown.order[self.marked]].content
        correction = Correction(original, drafts.get(name), keep=partial(drafts.put, name))
        await self.mount(correction, before=self.query_one(Tally))
        self.query_one(Tally).say("Correct it: it will count as the better one. Ctrl+S saves, Esc leaves.")
        self.draw(stay=True)

    def ask(self) -> None:
        super().ask()
        if self._begun() is not None:
            self.query_one(Tally).say("✎ draft: e goes on with the correction that was begun.")

    def _begun(self) -> int | None:
        """The place of a reply whose correction was begun and not saved."""
        shown = self.queue.current
        places = range(len(shown.order)) if shown else ()
        return next((at for at in places if shown and self.tuner.drafts.get(_draft(shown, at))), None)

    def on_correction_written(self, event: Correction.Written) -> None:
        if shown := self.queue.current:
            self._judge("correct", {"reply": shown.order[self.marked or 0], "text": event.text})

    async def on_correction_abandoned(self, _: Correction.Abandoned) -> None:
        await self._stop_editing()
        self.ask()
        self.draw(stay=True)

    async def _stop_editing(self) -> None:
        await self.query(Correction).remove()
        self.query_one(Sheet).focus()

    # --- saying why

    async def action_why(self) -> None:
        if not self._last:
            self.query_one(Tally).say("Give a label first; then say why.", "✗")
        elif not self.query(TagField):
            try:
                used = await self.tuner.database(tags.most_used)
            except UserError as error:
                self.notice.fail(error)
                return
            await self.mount(TagField(used), before=self.query_one(Tally))

    async def on_tag_field_given(self, event: TagField.Given) -> None:
        await self.query(TagField).remove()
        self.query_one(Sheet).focus()
        if event.tags:
            write = partial(self.tuner.database, judged.tag, self._last, event.tags, uuid4().hex)
            self.save("tag", Saving("The tag", write, self._tagged))

    async def _tagged(self, standing: tuple[str, ...]) -> None:
        said = " ".join(f"#{tag}" for tag in standing) or "no tag"
        self.query_one(Tally).say(f"The last label: {said}.", "✓")

    # --- going about

    def action_differ(self) -> None:
        self.differing = not self.differing
        self.draw(stay=True)

    async def action_goal(self) -> None:
        if not self.query("#goal"):
            goal = LineField(
                str(self.tuner.settings.goal or ""),
                id="goal",
                type="integer",
                compact=True,
                placeholder="labels that you mean to give in a day; 0 for no goal",
            )
            await self.mount(goal, before=self.query_one(KeyBar))
        self.query_one("#goal").focus()

    @on(Input.Submitted, "#goal")
    async def _goal_given(self, event: Input.Submitted) -> None:
        goal = max(0, int(event.value or 0))
        try:
            settings_file.save(self.tuner.home, replace(settings_file.load(self.tuner.home), goal=goal))
            self.tuner.load_settings()
        except UserError as error:
            self.notice.fail(error)
        await self.action_back()

    async def action_back(self) -> None:
        if self.query("#goal"):
            await self.query("#goal").remove()
            self.query_one(Sheet).focus()
            self.count()
        else:
            self.app.pop_screen()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("choose", "judge", "correct", "mark", "differ") and self.queue.current is None:
            return False
        if action in ("choose", "mark", "differ"):
            return self.chosen.kind == "pair"
        if action == "judge" and parameters[0] != "skip":
            return parameters[0] in ONLY[self.chosen.kind]
        if action == "try_again":
            return self.stopped or self.far.failed > 0
        return super().check_action(action, parameters)


def _draft(shown: Shown, place: int) -> str:
    """The name of the draft of a reply's correction."""
    return f"item-{shown.waiting.item.hash}-{shown.order[place]}"


def _told(shown: Shown, event: LabelEvent) -> str:
    """What was saved, whose each reply was, and what that fed to training."""
    replies = shown.waiting.item.replies
    fed = f"Fed {labels.describe_fed(labels.fed(shown.waiting.item, event))}."
    names = [_by(replies[reply]) for reply in shown.order]
    whose = names[0]
    if len(names) == 2:
        whose = f"both by {names[0]}" if names[0] == names[1] else f"1 was {names[0]}, 2 was {names[1]}"
    if event.verb == "choose":
        return f"{shown.order.index(event.value['reply']) + 1} is better: {whose}. {fed}"
    if event.verb == "correct":
        return f"Corrected: {whose}. {fed}"
    return f"{SAID[event.verb]}: {whose}. {fed}"


def _by(reply: Reply) -> str:
    """Who wrote a reply; what was stored with no name is of nobody that we know."""
    return reply.adapter or reply.model.rstrip("/").rsplit("/", 1)[-1] or "stored"
