"""Having answers written, one at a time."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.conversing import asking, dialogue
from tuner_app.settings import Settings
from tuner_app.store.rows import Message
from tuner_app.tui import answerers
from tuner_app.tui.screens.asking import AskingScreen
from tuner_app.tui.screens.base import Saving
from tuner_app.tui.widgets.answer import Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.draft import Draft
from tuner_app.tui.widgets.prompt_box import PromptBox
from tuner_app.tui.widgets.question import Question
from tuner_app.tui.widgets.spoken import Spoken

if TYPE_CHECKING:
    from tuner_app.client import ChatClient

BUSY = "An answer is still being written: Esc stops it."
TRIES = 4  # at a second answer that differs from the first
KEEP_SECONDS = 10.0  # longer than the database waits for another writer
REST_SECONDS = 0.005


class AnsweringScreen(AskingScreen):
    """A chat that keeps what is asked and has it answered; `writing` is the answer that is under way."""

    def __init__(self) -> None:
        super().__init__()
        self.writing: asyncio.Task[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin to write an answer; there is one at a time."""
        self.notice.clear()
        self.writing = asyncio.create_task(work)
        self.run_worker(self._wait(self.writing))
        self.refresh_bindings()

    async def _wait(self, writing: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(writing)
        finally:
            self.writing = None
            self.notice.no_longer(BUSY)
            self.refresh_bindings()

    async def stop_and_keep(self) -> None:
        """Stop the answer that is being written, and wait until what there is of it is kept."""
        if self.writing:
            self.writing.cancel()
            await asyncio.wait({self.writing}, timeout=KEEP_SECONDS)

    async def ask(self, text: str, *, instead: Question | None = None) -> None:
        """Keep a prompt and have it answered; with `instead` on a branch beside an earlier one."""
        here = self.dialogue.conversation.id if self.dialogue.conversation else None
        keep = partial(dialogue.ask, instead=instead.turn.message if instead else None)
        try:
            question = await self.tuner.database(keep, here, text, one_line(text), uuid4().hex)
            if instead:
                self.query_one(PromptBox).focus()
                instead.keep_draft("")
                await instead.stop_editing()
            await self.query(Comparison).remove()
            await self.show(await self.tuner.database(dialogue.load, question.conversation_id))
        except UserError as error:
            self.notice.fail(error)
            if not instead:
                self.query_one(PromptBox).text = text
            return
        await self.write(question)

    async def write(self, question: Message, *, beside: Spoken | None = None) -> None:
        """Have `question` answered; with `beside`, hold the new answer against that one."""
        by = self.by
        first = beside.turn.message.content.strip() if beside else None
        if beside:
            by = asking.second(by)
        link = self.tuner.model_link
        draft = Draft(answerers.name(answerers.now(link.named(by))), count_only=beside is not None)
        selected = isinstance(self.focused, Answer)
        place = beside or self.transcript.spoken(question.id)
        await self.transcript.put(draft, after=place, instead=not beside)
        failure: UserError | None = None
        try:
            for _ in range(TRIES):
                draft.restart(seed=by.decoding.draw())
                client = await link.client(by)
                by = link.named(by)
                await self._stream(client, question, by, draft, beside)
                if draft.text.strip() != first:
                    break
            else:
                failure = UserError(
                    f"{TRIES} second answers were word for word the first: there is nothing to choose.",
                    do="Judge it with a or x, or correct it with e.",
                )
        except asyncio.CancelledError:
            draft.finish = "stopped"
        except UserError as error:
            failure, draft.finish = self._explained(error, partly=bool(draft.text) and not beside), "failed"
        if not (failure or draft.text or draft.finish == "stopped"):
            failure = self._explained(UserError("The model's answer was empty."), partly=False)
        if failure:
            self.notice.fail(failure)
        if not draft.text or (beside and (failure or draft.finish == "stopped")):
            await draft.remove()
            await self.show(self.dialogue)
            return
        keep = partial(dialogue.keep_answer, question=question, text=draft.text, finish=draft.finish)
        keep = partial(keep, sent=draft.sent, by=by, seed=draft.seed, tip=beside is None, uid=uuid4().hex)
        then = partial(self._written, draft, beside, selected)
        await self.save_now(draft, Saving("The answer", partial(self.tuner.database, keep), then))

    async def _stream(
        self, client: "ChatClient", question: Message, by: Settings, draft: Draft, first: Spoken | None
    ) -> None:
        beside = first.turn.message if first else None
        prompt = await self.tuner.database(dialogue.prompt_to, question, beside)
        if not beside:
            prompt = await self.fit(client, prompt, by)
        draft.sent = prompt.asked
        decoding = by.decoding.to_json() | {"seed": draft.seed}
        rested = monotonic()
        async for delta in client.stream(prompt.wire, model=by.adapter or "base", **decoding):
            if delta.total:
                self.used(delta.total)
            else:
                draft.append(delta.text, delta.finish)
            if monotonic() - rested > REST_SECONDS:  # what has come already is read without a pause
                await asyncio.sleep(0)
                rested = monotonic()

    async def _written(self, draft: Draft, beside: Spoken | None, selected: bool, answer: Message) -> None:
        with self.app.batch_update():  # the answer takes the draft's place: what is above does not move
            await draft.remove()
            await self.reload()
        if beside:
            await self.compare(beside, answer)
        elif selected and isinstance(self.focused, Spoken):  # it takes the place of the one selected
            self.transcript.select(self.transcript.stops()[-1])

    def _explained(self, error: UserError, *, partly: bool) -> UserError:
        """The error with what was kept of this exchange, and the key that goes on."""
        error = self.tuner.model_link.lost(self.tuner.settings) or error
        if partly:
            kept, do = "What it had written is kept.", "r on the answer has it written again."
        else:
            kept, do = "Your prompt is kept.", f"{error.do} Enter in the empty prompt box asks again.".strip()
        return UserError(error.what, kept=kept, do=do)
