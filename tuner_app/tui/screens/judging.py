"""Labelling answers: thumbs, corrections, and the choice between two."""

import random
from functools import partial
from uuid import uuid4

from tuner_app.store.rows import Message, Verb
from tuner_app.tui import dialogue
from tuner_app.tui.dialogue import CORRECTED, Dialogue, Label
from tuner_app.tui.screens.base import Saving, SavingScreen
from tuner_app.tui.widgets.answer import MARKS, Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.editor import Editor
from tuner_app.tui.widgets.prompt_box import PromptBox
from tuner_app.tui.widgets.transcript import Transcript


class JudgingScreen(SavingScreen):
    """A screen with a transcript whose answers can be judged."""

    def __init__(self) -> None:
        super().__init__()
        self.dialogue = Dialogue()

    @property
    def transcript(self) -> Transcript:
        """The conversation on the screen."""
        return self.query_one(Transcript)

    async def reload(self) -> None:
        """Show the conversation as the store has it."""
        if here := self.dialogue.conversation:
            shown = await self.tuner.database(dialogue.load, here.id)
            if self.dialogue.conversation and self.dialogue.conversation.id == here.id:
                await self.show(shown)  # the person has not gone elsewhere meanwhile

    async def show(self, shown: Dialogue) -> None:
        """Show `shown` in place of what was there."""
        self.dialogue = shown
        await self.transcript.show(list(shown.turns))

    # --- one answer

    async def on_answer_acted(self, event: Answer.Acted) -> None:
        answer, turn = event.answer, event.answer.turn
        match event.act:
            case "good" | "bad" if turn.message.finish == CORRECTED:
                self.notice.fail("This is your own correction: e changes it, u takes it back.")
            case "good" | "bad":
                verb: Verb = "good" if event.act == "good" else "bad"
                self._label(answer, Label((turn.message,), verb))
            case "correct":
                await answer.edit()
            case "corrected":
                self._label(answer, Label((turn.original or turn.message,), "correct", 0, event.text))
            case "undo":
                write = partial(self.tuner.database, dialogue.undo, turn.message, uuid4().hex)
                failed = partial(answer.not_saved, "undo")
                self.save(answer, Saving("The undo", write, partial(self._undone, answer), failed))
            case "older" | "newer":
                by = -1 if event.act == "older" else 1
                move = partial(self.tuner.database, dialogue.switch, turn.message, by)
                self.save(answer, Saving("The switch", move, lambda _: self._reload_at(answer)))

    def _label(self, answer: Answer, given: Label) -> None:
        name = MARKS[given.verb]

        async def then(fed: str) -> None:
            answer.not_saved("")
            if answer.query(Editor):
                await answer.stop_editing()
            await self._reload_at(answer)
            self.notice.say(f"Saved: {name}. Fed {fed}.")

        write = partial(self.tuner.database, dialogue.label, given)
        self.save(answer, Saving(f"“{name}”", write, then, partial(answer.not_saved, name)))

    async def _undone(self, answer: Answer, verb: str) -> None:
        if not verb:
            self.notice.fail("There is no label of yours on this answer to undo.")
            return
        answer.not_saved("")
        await self._reload_at(answer)
        self.notice.say(f"Undone: {MARKS.get(verb, '★ the choice')}.")

    async def _reload_at(self, answer: Answer) -> None:
        """Reload, and keep the selection where it was when another answer has come in its place."""
        stops = self.transcript.stops()
        place = stops.index(answer) if answer in stops else len(stops)
        selected = answer.has_focus
        await self.reload()
        stops = self.transcript.stops()
        if selected and place < len(stops):
            stops[place].focus()

    # --- two answers

    async def compare(self, answer: Answer, second: Message) -> None:
        """Show a second answer beside the first, in random order."""
        first = answer.turn.message
        shown = (0, 1) if random.SystemRandom().random() < 0.5 else (1, 0)
        comparison = Comparison((first, second), shown)
        await self.transcript.put(comparison, after=answer)
        answer.display = False
        comparison.focus()

    def on_comparison_judged(self, event: Comparison.Judged) -> None:
        comparison = event.comparison
        given = Label(comparison.replies, event.verb, event.reply, event.text, comparison.shown)

        async def then(fed: str) -> None:
            if comparison.query(Editor):
                await comparison.stop_editing()
            comparison.reveal(given, fed)
            self.notice.clear()

        write = partial(self.tuner.database, dialogue.label, given)
        self.save(comparison, Saving("Your verdict", write, then, comparison.not_saved))

    def on_comparison_undone(self, event: Comparison.Undone) -> None:
        comparison = event.comparison
        assert comparison.given

        async def then(_: str) -> None:
            comparison.ask()
            self.notice.say("Undone.")

        write = partial(self.tuner.database, dialogue.take_back, comparison.given, uuid4().hex)
        self.save(comparison, Saving("The undo", write, then))

    async def on_comparison_finished(self, event: Comparison.Finished) -> None:
        comparison = event.comparison
        await comparison.remove()
        await self.reload()
        self.query_one(PromptBox).focus()
