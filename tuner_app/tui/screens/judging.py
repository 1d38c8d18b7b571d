"""Labelling answers: thumbs, corrections, and the choice between two."""

import random
from functools import partial
from uuid import uuid4

from tuner_app.clean import harmless, one_line
from tuner_app.conversing import branches, dialogue, judged
from tuner_app.conversing.dialogue import Dialogue
from tuner_app.conversing.judged import CORRECTED, Label, Undone
from tuner_app.store import tags
from tuner_app.store.rows import Message, Verb
from tuner_app.tui.screens.base import Saving, SavingScreen
from tuner_app.tui.widgets.answer import MARKS, Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.editor import Correction
from tuner_app.tui.widgets.prompt_box import PromptBox
from tuner_app.tui.widgets.spoken import Spoken
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

    async def on_spoken_acted(self, event: Spoken.Acted) -> None:
        spoken, message = event.spoken, event.spoken.turn.message
        match event.act:
            case "edit":
                await spoken.edit()
            case "left":
                if event.text:
                    self.notice.say("Not saved, but kept: e goes on with it.")
            case "copy":
                self._copy(message.content, "the text")
            case "older" | "newer":
                by = -1 if event.act == "older" else 1
                move = partial(self.tuner.database, branches.switch, message, by)
                self.save(spoken, Saving("The switch", move, lambda _: self._reload_at(spoken)))
            case "undo":
                write = partial(self.tuner.database, judged.undo, message, uuid4().hex)
                failed = partial(spoken.not_saved, "undo")
                self.save(spoken, Saving("The undo", write, partial(self._undone, spoken), failed))
            case _ if isinstance(spoken, Answer):
                await self._judge(spoken, event)

    async def _judge(self, answer: Answer, event: Spoken.Acted) -> None:
        turn = answer.turn
        match event.act:
            case "good" | "bad" if turn.message.finish == CORRECTED:
                self.notice.fail("This is your own correction: e changes it, u takes it back.")
            case "good" | "bad":
                verb: Verb = "good" if event.act == "good" else "bad"
                self._label(answer, Label((turn.message,), verb))
            case "written":
                self._label(answer, Label((turn.original or turn.message,), "correct", 0, event.text))
            case "tag" if turn.label:
                await answer.ask_why(await self.tuner.database(tags.most_used))
            case "tag":
                self.notice.fail("Label it first: a, x, e or s. Then say why.")
            case "tagged":
                self._tag(answer, turn.label, event.text.split(","))
            case "code":
                self._copy_code(answer)

    def _label(self, answer: Answer, given: Label) -> None:
        name = MARKS[given.verb]

        async def then(fed: str) -> None:
            answer.not_saved("")
            if answer.query(Correction):
                answer.keep_draft("")
                await answer.stop_editing()
            await self._reload_at(answer)
            self.notice.say(f"Saved: {name}. Fed {fed}.")

        write = partial(self.tuner.database, judged.label, given)
        self.save(answer, Saving(f"“{name}”", write, then, partial(answer.not_saved, name)))

    def _tag(self, answer: Answer, label: str, texts: list[str]) -> None:
        async def then(standing: tuple[str, ...]) -> None:
            answer.not_saved("")
            await self._reload_at(answer)
            self.notice.say(f"Saved: {_in_words(standing)}. Tags feed no training; they tell why.")

        write = partial(self.tuner.database, judged.tag, label, texts, uuid4().hex)
        self.save(answer, Saving("The tag", write, then, partial(answer.not_saved, "tag")))

    async def _undone(self, spoken: Spoken, undone: Undone | None) -> None:
        if not undone:
            self.notice.fail("There is no label of yours in this conversation to undo.")
            return
        spoken.not_saved("")
        await self._reload_at(spoken)
        here = self._at(undone.answer)
        if here:
            self.transcript.select(here)
        elsewhere = "" if here else f" It was on “{one_line(undone.answer.content, 30)}”, not shown now."
        self.notice.say(f"Undone: {MARKS[undone.verb]}.{elsewhere}")

    def _at(self, answer: Message) -> Spoken | None:
        """What is shown where an answer stands: it, or one beside it."""
        beside = (t.message.id for t in self.dialogue.turns if t.message.parent_id == answer.parent_id)
        return self.transcript.spoken(answer.id) or self.transcript.spoken(next(beside, None))

    def _copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(harmless(text))
        self.notice.say(
            f"Copied {what}, {len(text):,} characters, if your terminal lets programs copy (OSC 52)."
        )

    def _copy_code(self, answer: Answer) -> None:
        from tuner_app.tui.markdown import code_blocks  # an answer with code has been read by it already

        if blocks := code_blocks(answer.turn.message.content):
            number = answer.copied % len(blocks)
            answer.copied += 1
            self._copy(blocks[number], f"code block {number + 1} of {len(blocks)}")

    async def _reload_at(self, answer: Spoken) -> None:
        """Reload, and keep the selection where it was when another answer has come in its place."""
        stops = self.transcript.stops()
        place = stops.index(answer) if answer in stops else len(stops)
        selected = answer.has_focus
        await self.reload()
        stops = self.transcript.stops()
        if selected and not answer.is_attached and place < len(stops):
            self.transcript.select(stops[place])

    # --- two answers

    async def compare(self, answer: Spoken, second: Message) -> None:
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
            if comparison.query(Correction):
                comparison.keep_draft("")
                await comparison.stop_editing()
            comparison.reveal(given, fed)
            self.notice.clear()

        write = partial(self.tuner.database, judged.label, given)
        self.save(comparison, Saving("Your verdict", write, then, comparison.not_saved))

    def on_comparison_undone(self, event: Comparison.Undone) -> None:
        comparison = event.comparison
        assert comparison.given

        async def then(_: str) -> None:
            comparison.ask()
            self.notice.say("Undone.")

        write = partial(self.tuner.database, judged.take_back, comparison.given, uuid4().hex)
        self.save(comparison, Saving("The undo", write, then))

    async def on_comparison_asked(self, event: Comparison.Asked) -> None:
        await event.comparison.ask_why(await self.tuner.database(tags.most_used))

    def on_comparison_tagged(self, event: Comparison.Tagged) -> None:
        comparison = event.comparison
        assert comparison.given

        async def then(standing: tuple[str, ...]) -> None:
            comparison.tagged(standing)

        write = partial(self.tuner.database, judged.tag, comparison.given.uid, event.tags, uuid4().hex)
        self.save(comparison, Saving("The tag", write, then))

    async def on_comparison_finished(self, event: Comparison.Finished) -> None:
        comparison = event.comparison
        await comparison.remove()
        await self.reload()
        self.query_one(PromptBox).focus()


def _in_words(standing: tuple[str, ...]) -> str:
    return ", ".join(f"#{tag}" for tag in standing) or "no tag"
