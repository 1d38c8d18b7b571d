"""What stands around a chat: how it asks, which model answers, and how much of the context is taken."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from textual import work
from textual.binding import Binding, BindingType

from engine.errors import UserError
from tuner_app.conversing import asking
from tuner_app.conversing.asking import Fit
from tuner_app.conversing.dialogue import Dialogue
from tuner_app.settings import Settings
from tuner_app.store import Store, asked, chats
from tuner_app.store.asked import Prompt
from tuner_app.store.rows import Conversation, Message
from tuner_app.tui import answerers
from tuner_app.tui.messages import Link
from tuner_app.tui.screens.judging import JudgingScreen
from tuner_app.tui.widgets.prompt_box import PromptBox

if TYPE_CHECKING:
    from tuner_app.client import ChatClient


class AskingScreen(JudgingScreen):
    """A chat; above the prompt box it says what it is asked with and how full the context is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f2",
            "next_model",
            "",
            show=False,
            key_display="F2",
            tooltip="let the next of the last used models answer",
        ),
        Binding(
            "f3",
            "how",
            "",
            show=False,
            key_display="F3",
            tooltip="system prompt, examples and decoding of this chat",
        ),
        Binding("f8", "examples", "", show=False, key_display="F8", tooltip="examples before this chat"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._use = ""
        self._used_by: int | None = None  # the conversation that this is about
        self._counted: object = None

    def on_mount(self) -> None:
        self.watch(self.app, "settings", self._changed, init=False)
        self.watch(self.app, "link", self._changed, init=False)

    @property
    def by(self) -> Settings:
        """Who answers, and how this conversation has it drawn."""
        decoding = asking.decoding_of(self.tuner.settings, self.dialogue.conversation)
        return replace(self.tuner.settings, decoding=decoding)

    async def show(self, shown: Dialogue) -> None:
        await super().show(shown)
        self._changed()

    def asks(self, conversation: Conversation) -> None:
        """The conversation asks in another way from now on."""
        self.dialogue = replace(self.dialogue, conversation=conversation)
        self._changed()

    def action_examples(self) -> None:
        from tuner_app.tui.screens.shots import ShotsScreen

        self.app.push_screen(ShotsScreen(self.dialogue.conversation, uuid4().hex, self.asks))

    def action_how(self) -> None:
        from tuner_app.tui.screens.how import HowScreen

        self.app.push_screen(HowScreen(self.dialogue.conversation, self.asks))

    @work(exclusive=True, group="switch")
    async def action_next_model(self) -> None:
        """Let another model answer from now on; the conversation goes on."""
        chosen, link = self.tuner.settings, self.tuner.model_link
        try:
            if chosen.chat_url:
                names = await link.served(chosen)
                ring = [(chosen.base, "" if name == "base" else name) for name in names]
                chosen = replace(chosen, adapter=link.named(chosen).adapter)
            else:
                ring = await self.tuner.database(answerers.ring, chosen)
            base, adapter = answerers.following(ring, answerers.now(chosen))
            if (base, adapter) == answerers.now(chosen):
                self.notice.say("There is no other model yet: Ctrl+T trains one, Ctrl+O adds a base.")
                return
            self.tuner.choose_model(base=base, adapter=adapter)
        except UserError as error:
            self.notice.fail(error)
            return
        told = ", ".join(answerers.name(one) for one in ring)
        self.notice.say(f"{answerers.name((base, adapter))} answers from now on. F2 goes round {told}.")

    async def fit(self, client: "ChatClient", prompt: Prompt, by: Settings) -> Prompt:
        """What of `prompt` fits; says which messages do not."""
        fit = await asking.fitted(client, prompt, by)
        self._use = ""
        self._say(fit)
        if fit.prompt.asked.left_out:
            self.notice.say(f"{asking.left_out_in_words(fit).capitalize()} any more and were not sent.")
        return fit.prompt

    # --- the line above the prompt box

    def used(self, tokens: int) -> None:
        """The server says, with its answer, what the conversation takes; not every one says it before."""
        if "/" not in self._use:
            self._use = f"{tokens} tokens"
            self._tell()

    def _changed(self, _: object = None) -> None:
        here, turns = self.dialogue.conversation, self.dialogue.turns
        about = here.id if here else None
        if self._used_by != about:
            self._used_by, self._use = about, ""
        now = (turns[-1].message.id, asked.now(here), self.by) if here and turns else None
        if now != self._counted and (now is None or self.tuner.link == Link("ready")):
            self._counted = now
            if now:
                self._count(turns[-1].message)
        self._tell()

    @work(exclusive=True, group="count")
    async def _count(self, tip: Message) -> None:
        by = self.by
        try:
            prompt = await self.tuner.database(_whole, tip)
            client = await self.tuner.model_link.client(by)
            self._say(await asking.fitted(client, prompt, self.tuner.model_link.named(by)))
        except UserError:
            self._use = ""  # whoever asks is told why
            self._tell()

    def _say(self, fit: Fit) -> None:
        if fit.context:
            parts = [f"{fit.tokens}/{fit.context} tokens", asking.left_out_in_words(fit)]
            self._use = ", ".join(part for part in parts if part)
        self._tell()

    def _tell(self) -> None:
        here = self.dialogue.conversation
        parts = [self._use, asking.in_words(self.by.decoding, self.tuner.settings)]
        if here:
            shots = len(here.shots)
            parts.append(f"{shots} example{'s' if shots > 1 else ''} before this" if shots else "")
            parts.append("system prompt" if here.system else "")
        for box in self.query(PromptBox):  # none when the count comes while the app closes
            box.tell(" · ".join(part for part in parts if part))


def _whole(store: Store, tip: Message) -> Prompt:
    here = chats.get(store, tip.conversation_id)
    return asked.prompt(store, tip, asked.now(here))
