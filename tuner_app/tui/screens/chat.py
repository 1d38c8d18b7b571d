"""The chat: ask, read, judge."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.errors import UserError
from tuner_app.conversing import branches, dialogue
from tuner_app.conversing.dialogue import Dialogue
from tuner_app.store import Store, chats
from tuner_app.store.rows import Message
from tuner_app.tui.messages import PromptLeft, PromptSubmitted, StoreChanged
from tuner_app.tui.screens.answering import BUSY, AnsweringScreen
from tuner_app.tui.screens.base import Saving
from tuner_app.tui.widgets.answer import Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.draft import Draft
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.prompt_box import PromptBox
from tuner_app.tui.widgets.question import Question
from tuner_app.tui.widgets.spoken import Spoken
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.tui.widgets.transcript import Transcript

NEW = "new conversation"


class ChatScreen(AnsweringScreen):
    """One conversation. Esc stops an answer, or goes between the prompt box and the answers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "stop", "stop", key_display="esc"),
        Binding("escape", "back", "", show=False),
    ]

    def compose(self) -> ComposeResult:
        yield TopBar(NEW)
        yield Transcript()
        yield Notice()
        yield PromptBox()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(PromptBox).focus()
        self.run_worker(self._open(dialogue.latest))
        with suppress(UserError):  # which `connect` tells of
            self.tuner.load_settings()  # the keys that the first paint shows
        self.call_after_refresh(self.connect)

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
            await self.transcript.go_to(at)

    async def show(self, shown: Dialogue) -> None:
        if len(self.query("TopBar, Transcript")) < 2:
            return  # the app is closing, one widget after the other
        title = shown.conversation.title or "untitled" if shown.conversation else NEW
        self.query_one(TopBar).place(title)
        await super().show(shown)

    async def on_store_changed(self, event: StoreChanged) -> None:
        """Another app may have gone on with this conversation."""
        here = self.dialogue.conversation
        busy = self.writing or self.query("Correction, TagField, Comparison")
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
        if self.writing:
            self.notice.fail(BUSY)
        elif event.text:
            self.query_one(PromptBox).text = ""
            self.start(self.ask(event.text))
        elif self.dialogue.unanswered:
            self.start(self.write(self.dialogue.unanswered))

    async def on_spoken_acted(self, event: Spoken.Acted) -> None:
        spoken = event.spoken
        message = spoken.turn.message
        match event.act:
            case "second" | "again":
                question = self.dialogue.question_of(message) if isinstance(spoken, Answer) else message
                if question and self._is_free():
                    beside = spoken if event.act == "second" else None
                    self.start(self.write(question, beside=beside))
            case "written" if isinstance(spoken, Question):
                if self._is_free():
                    self.start(self.ask(event.text, instead=spoken))
            case "go_on":
                self._move(branches.stop_at, message)
            case "follow":
                self._move(branches.follow, message)
            case _:
                return
        event.prevent_default()

    def _is_free(self) -> bool:
        """Whether an answer can be written now; else says why not."""
        if self.writing:
            self.notice.fail(BUSY)
        elif self.query(Comparison):
            self.query_one(Comparison).focus()
        else:
            return True
        return False

    def _move(self, move: Callable[[Store, Message], None], message: Message) -> None:
        async def then(_: object) -> None:
            await self.reload()
            self.transcript.anchor()
            self.query_one(PromptBox).focus()

        self.save(message.id, Saving("The switch", partial(self.tuner.database, move, message), then))

    # --- going about

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("stop", "back"):
            return (self.writing is not None) == (action == "stop")
        return super().check_action(action, parameters)

    def action_stop(self) -> None:
        if self.writing:
            self.writing.cancel()

    def action_back(self) -> None:
        if isinstance(self.focused, PromptBox):
            self.on_prompt_left()
        else:
            self.query_one(PromptBox).focus()

    def on_prompt_left(self, _: PromptLeft | None = None) -> None:
        if stops := self.transcript.stops():
            self.transcript.select(stops[-1])

    def on_spoken_stepped(self, event: Spoken.Stepped) -> None:
        if not self.transcript.step(event.spoken, event.by):
            self.query_one(PromptBox).focus()

    def action_page(self, by: int) -> None:
        self.transcript.scroll_relative(y=by * max(self.transcript.size.height - 2, 1), animate=False)
