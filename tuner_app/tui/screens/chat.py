"""The chat: ask, read, judge."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.settings import NEW_SEED, Settings
from tuner_app.store import chats
from tuner_app.store.rows import Message
from tuner_app.tui import dialogue
from tuner_app.tui.dialogue import Dialogue
from tuner_app.tui.messages import PromptLeft, PromptSubmitted, StoreChanged
from tuner_app.tui.screens.asking import AskingScreen
from tuner_app.tui.screens.base import Saving
from tuner_app.tui.widgets.answer import Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.draft import Draft
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.prompt_box import PromptBox
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.tui.widgets.transcript import Transcript

NEW = "new conversation"
TRIES = 4  # at a second answer that differs from the first
KEEP_SECONDS = 10.0  # longer than the database waits for another writer
BUSY = "An answer is still being written: Esc stops it."


class ChatScreen(AskingScreen):
    """One conversation. Esc stops an answer, or goes between the prompt box and the answers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "stop", key_display="esc"),
        Binding("escape", "back", "", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._writing: asyncio.Task[None] | None = None

    def compose(self) -> ComposeResult:
        yield TopBar(NEW)
        yield Transcript()
        yield Notice()
        yield PromptBox()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(PromptBox).focus()
        self.run_worker(self._open(dialogue.latest))
        self.connect()

    # --- conversations

    def open_conversation(self, conversation_id: int | None, message_id: int | None = None) -> None:
        """Show another conversation, at one of its messages if need be, or an empty page."""
        if conversation_id is None:
            self.run_worker(self._open(lambda _: Dialogue()))
        else:
            self.run_worker(self._open(dialogue.load, conversation_id, message_id, at=message_id))
        self.query_one(PromptBox).focus()

    async def _open(self, load: Callable[..., Dialogue], *args: int | None, at: int | None = None) -> None:
        await self.stop_and_keep()
        try:
            shown = await self.tuner.database(load, *args)
        except UserError as error:
            self.notice.fail(error)
            return
        await self.query(Draft).remove()
        await self.query(Comparison).remove()
        await self.show(shown)
        if at is None:
            self.transcript.anchor()
        else:
            self.transcript.go_to(at)

    async def show(self, shown: Dialogue) -> None:
        title = shown.conversation.title or "untitled" if shown.conversation else NEW
        self.query_one(TopBar).place(title)
        await super().show(shown)

    async def on_store_changed(self, event: StoreChanged) -> None:
        """Another app may have gone on with this conversation."""
        here = self.dialogue.conversation
        busy = self._writing or self.query("Editor, Comparison")
        if not here or busy or event.events:
            return
        try:
            if (await self.tuner.database(chats.get, here.id)).tip_id != here.tip_id:
                await self.reload()
        except UserError as error:
            self.notice.fail(error)

    # --- asking and answering

    @work
    async def connect(self) -> None:
        """Read who is to answer, and start the chat worker before it is needed."""
        try:
            self.tuner.load_settings()
            await self.tuner.model_link.client(self.tuner.settings)
        except UserError as error:
            self.notice.fail(error)

    def on_prompt_submitted(self, event: PromptSubmitted) -> None:
        if self._writing:
            self.notice.fail(BUSY)
        elif event.text:
            self.query_one(PromptBox).text = ""
            self._start(self._ask(event.text))
        elif self.dialogue.unanswered:
            self._start(self._write(self.dialogue.unanswered))

    async def on_answer_acted(self, event: Answer.Acted) -> None:
        if event.act not in ("second", "again"):
            return
        event.prevent_default()
        answer = event.answer
        question = self.dialogue.question_of(answer.turn.message)
        if self._writing:
            self.notice.fail(BUSY)
        elif self.query(Comparison):
            self.query_one(Comparison).focus()
        elif question:
            self._start(self._write(question, beside=answer if event.act == "second" else None))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin to write an answer; there is one at a time."""
        self.notice.clear()
        self._writing = asyncio.create_task(work)
        self.run_worker(self._wait(self._writing))
        self.refresh_bindings()

    async def _wait(self, writing: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(writing)
        finally:
            self._writing = None
            self.refresh_bindings()

    async def stop_and_keep(self) -> None:
        """Stop the answer that is being written, and wait until what there is of it is kept."""
        if self._writing:
            self._writing.cancel()
            await asyncio.wait({self._writing}, timeout=KEEP_SECONDS)

    async def _ask(self, text: str) -> None:
        here = self.dialogue.conversation.id if self.dialogue.conversation else None
        try:
            question = await self.tuner.database(dialogue.ask, here, text, one_line(text), uuid4().hex)
            await self.query(Comparison).remove()
            await self.show(await self.tuner.database(dialogue.load, question.conversation_id))
        except UserError as error:
            self.notice.fail(error)
            self.query_one(PromptBox).text = text
            return
        await self._write(question)

    async def _write(self, question: Message, *, beside: Answer | None = None) -> None:
        """Have `question` answered; with `beside`, hold the new answer against that one."""
        by = self.by
        first = beside.turn.message.content.strip() if beside else None
        if beside:  # sampled freely enough to differ, whatever the settings say
            warm = max(by.decoding.temperature, 1.0)
            by = replace(by, decoding=replace(by.decoding, temperature=warm, beams=1, seed=NEW_SEED))
        draft = Draft(by.adapter or by.base, count_only=beside is not None)
        await self.transcript.put(draft, after=beside)
        failure: UserError | None = None
        try:
            for _ in range(TRIES):
                draft.restart(seed=by.decoding.draw())
                await self._stream(question, by, draft, beside)
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
            return
        keep = partial(dialogue.keep_answer, question=question, text=draft.text, finish=draft.finish)
        keep = partial(keep, sent=draft.sent, by=by, seed=draft.seed, tip=beside is None, uid=uuid4().hex)
        then = partial(self._written, draft, beside)
        await self.save_now(draft, Saving("The answer", partial(self.tuner.database, keep), then))

    async def _stream(self, question: Message, by: Settings, draft: Draft, first: Answer | None) -> None:
        beside = first.turn.message if first else None
        prompt = await self.tuner.database(dialogue.prompt_to, question, beside)
        client = await self.tuner.model_link.client(by)
        if not beside:
            prompt = await self.fit(client, prompt, by)
        draft.sent = prompt.asked
        decoding = by.decoding.to_json() | {"seed": draft.seed}
        async for delta in client.stream(prompt.wire, model=by.adapter or "base", **decoding):
            if delta.total:
                self.used(delta.total)
            else:
                draft.append(delta.text, delta.finish)

    async def _written(self, draft: Draft, beside: Answer | None, answer: Message) -> None:
        await draft.remove()
        selected = self.focused
        await self.reload()
        if beside:
            await self.compare(beside, answer)
        elif isinstance(selected, Answer) and not selected.is_attached:
            self.on_prompt_left()  # the answer that was selected has made way for this one

    def _explained(self, error: UserError, *, partly: bool) -> UserError:
        """The error with what was kept of this exchange, and the key that goes on."""
        error = self.tuner.model_link.lost(self.tuner.settings) or error
        if partly:
            kept, do = "What it had written is kept.", "r on the answer has it written again."
        else:
            kept, do = "Your prompt is kept.", f"{error.do} Enter in the empty prompt box asks again.".strip()
        return UserError(error.what, kept=kept, do=do)

    # --- going about

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("stop", "back"):
            return (self._writing is not None) == (action == "stop")
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        if self._writing:
            self._writing.cancel()

    def action_back(self) -> None:
        if isinstance(self.focused, PromptBox):
            self.on_prompt_left()
        else:
            self.query_one(PromptBox).focus()

    def on_prompt_left(self, _: PromptLeft | None = None) -> None:
        if stops := self.transcript.stops():
            stops[-1].focus()

    def on_answer_stepped(self, event: Answer.Stepped) -> None:
        stops = self.transcript.stops()
        place = stops.index(event.answer) + event.by
        if place >= len(stops):
            self.query_one(PromptBox).focus()
        else:
            stops[max(place, 0)].focus()
