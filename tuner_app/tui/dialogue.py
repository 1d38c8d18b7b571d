"""What the chat screen asks of the store: every function runs in the database thread, in one transaction."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.examples import Message as Said
from tuner_app.settings import Settings
from tuner_app.store import Store, asked, chats, labels
from tuner_app.store.asked import Asked, Prompt
from tuner_app.store.rows import Conversation, Item, LabelEvent, Message, Reply, Verb

CORRECTED = "corrected"  # the `finish` of a message that a person wrote in place of an answer


@dataclass(frozen=True)
class Turn:
    """A message with what the person did with it.

    `marks` are names of labels; `original` is what the model wrote where the message corrects it;
    `place` of `alternatives` counts the answers to the same question.
    """

    message: Message
    marks: tuple[str, ...] = ()
    original: Message | None = None
    place: int = 1
    alternatives: int = 1


def speaker(message: Message) -> str:
    """Who wrote an answer, as the screen names them."""
    if message.finish == CORRECTED:
        return "your correction"
    return message.adapter or Path(message.model).name or "model"


@dataclass(frozen=True)
class Dialogue:
    """A conversation and its branch; no conversation yet is an empty one."""

    conversation: Conversation | None = None
    turns: tuple[Turn, ...] = ()

    def question_of(self, answer: Message) -> Message | None:
        """The message that `answer` answers."""
        return next((t.message for t in self.turns if t.message.id == answer.parent_id), None)

    @property
    def unanswered(self) -> Message | None:
        """The last message, where it still waits for an answer."""
        last = self.turns[-1].message if self.turns else None
        return last if last and last.role == "user" else None


@dataclass(frozen=True)
class Label:
    """One press of a labelling key; its uid is made with it, so that a retry is the same label."""

    replies: tuple[Message, ...]
    verb: Verb
    reply: int | None = None
    text: str | None = None
    shown: tuple[int, ...] = ()
    uid: str = field(default_factory=lambda: uuid4().hex)

    @property
    def value(self) -> dict[str, Any] | None:
        """The label's value as the store keeps it."""
        if self.reply is None:
            return None
        return {"reply": self.reply} | ({} if self.text is None else {"text": self.text})


def latest(store: Store) -> Dialogue:
    """The conversation with the latest activity."""
    found = chats.conversations(store, limit=1)
    return load(store, found[0].id) if found else Dialogue()


def load(store: Store, conversation_id: int, message_id: int | None = None) -> Dialogue:
    """A conversation's branch with the labels on it; the branch of a message, where one is named."""
    if message_id is not None:
        chats.show(store, message_id)
    conversation = chats.get(store, conversation_id)
    turns = [_turn(store, message) for message in chats.path(store, conversation_id)]
    return Dialogue(conversation, tuple(turns))


def ask(store: Store, conversation_id: int | None, text: str, title: str, uid: str) -> Message:
    """Keep what the person said, in a new conversation when there is none yet."""
    with store.write():
        conversation = (
            chats.start(store, title=title) if conversation_id is None else chats.get(store, conversation_id)
        )
        if (
            not conversation.title and conversation.tip_id is None
        ):  # how it asks was set before its first prompt
            chats.rename(store, conversation.id, title)
        return chats.add(
            store, conversation.id, role="user", content=text, parent_id=conversation.tip_id, uid=uid
        )


def prompt_to(store: Store, question: Message, beside: Message | None) -> Prompt:
    """What is sent to have `question` answered; the same as for `beside`, where it is to stand beside it."""
    here = chats.get(store, question.conversation_id)
    return asked.prompt(store, question, asked.of(store, beside) if beside else asked.now(here))


def keep_answer(
    store: Store,
    *,
    question: Message,
    sent: Asked,
    text: str,
    finish: str,
    by: Settings,
    seed: int,
    tip: bool,
    uid: str,
) -> Message:
    """Keep an answer with all that produced it."""
    return chats.add(
        store,
        question.conversation_id,
        role="assistant",
        content=text,
        parent_id=question.id,
        model=by.base,
        adapter=by.adapter,
        decoding=by.decoding.to_json() | {asked.KEY: sent.to_json()},
        seed=seed,
        finish=finish,
        tip=tip,
        uid=uid,
    )


def label(store: Store, given: Label) -> str:
    """Keep a label, move the conversation to the better answer, and say what was fed to training."""
    with store.write():
        item = _item(store, given.replies)
        event = labels.record(
            store, item.hash, given.verb, value=given.value, shown=given.shown, uid=given.uid
        )
        _follow(store, given)
        return labels.describe_fed(labels.fed(item, event))


def undo(store: Store, message: Message, uid: str) -> str:
    """Take back the latest label on an answer; what was taken back, "" where there was none."""
    with store.write():
        standing = _standing(store, message)
        if not standing:
            return ""
        event, item = standing[-1]
        labels.undo(store, item.hash, uid=uid)
        _go_back(store, item)
        return event.verb


def take_back(store: Store, given: Label, uid: str) -> str:
    """Undo the label that was given, and go back to the first of its replies."""
    with store.write():
        item = _item(store, given.replies)
        labels.undo(store, item.hash, uid=uid)
        _go_back(store, item)
        return given.verb


def switch(store: Store, message: Message, by: int) -> Message:
    """Move the conversation to the answer before (-1) or after (1) this one."""
    with store.write():
        siblings = _siblings(store, message)
        place = [sibling.id for sibling in siblings].index(message.id)
        other = siblings[(place + by) % len(siblings)]
        chats.set_tip(store, message.conversation_id, other.id)
        return other


def _follow(store: Store, given: Label) -> None:
    if given.reply is None:
        return
    better = given.replies[given.reply]
    if given.verb == "choose":
        chats.set_tip(store, better.conversation_id, better.id)
    elif given.text is not None:
        chats.add(
            store,
            better.conversation_id,
            role="assistant",
            content=given.text,
            parent_id=better.parent_id,
            finish=CORRECTED,
            uid=f"{given.uid}-text",
        )


def _go_back(store: Store, item: Item) -> None:
    """Leave what an undone label had led to, for what the label that now stands says, or the first reply.

    A conversation that has gone on from there stays where it is.
    """
    if item.replies[0].message_id is None:
        return
    first = chats.message(store, item.replies[0].message_id)
    siblings = _siblings(store, first)
    tip = chats.get(store, first.conversation_id).tip_id
    if tip not in [sibling.id for sibling in siblings]:
        return
    head = labels.head(store, item.hash)
    target: int | None = first.id
    if head and head.verb == "choose":
        target = item.replies[head.value["reply"]].message_id
    elif head and head.verb == "correct":
        text = head.value["text"]
        target = next((m.id for m in siblings if m.finish == CORRECTED and m.content == text), first.id)
    chats.set_tip(store, first.conversation_id, target or first.id)


def _turn(store: Store, message: Message) -> Turn:
    if message.role != "assistant":
        return Turn(message)
    siblings = _siblings(store, message)
    standing = _standing(store, message)
    marks = tuple(mark for event, item in standing if (mark := _mark(message, event, item)))
    places = [sibling.id for sibling in siblings]
    original = _original(store, standing[0]) if message.finish == CORRECTED and standing else None
    return Turn(message, marks, original, places.index(message.id) + 1, len(siblings))


def _original(store: Store, correction: tuple[LabelEvent, Item]) -> Message | None:
    event, item = correction
    if event.verb != "correct":
        return None  # the correction was undone, and the conversation had gone on from it
    message_id = item.replies[event.value["reply"]].message_id
    return None if message_id is None else chats.message(store, message_id)


def _mark(message: Message, event: LabelEvent, item: Item) -> str:
    if "reply" not in event.value:
        return event.verb
    if event.value.get("text") == message.content and message.finish == CORRECTED:
        return ""  # the name that it goes by says so
    mine = item.replies[event.value["reply"]].message_id == message.id
    better = "chosen" if event.verb == "choose" else "correct"
    return better if mine else "rejected"


def _standing(store: Store, message: Message) -> list[tuple[LabelEvent, Item]]:
    """My labels that stand on an answer, oldest first; a correction's own label is the first of them."""
    events = labels.on_messages(store, [message.id]).get(message.id, [])
    if message.finish == CORRECTED:
        siblings = [sibling.id for sibling in _siblings(store, message)]
        found = (event for each in labels.on_messages(store, siblings).values() for event in each)
        events = [e for e in found if e.value.get("text") == message.content][:1] + events
    by_hash = {item.hash: item for item in labels.items(store, [event.item_hash for event in events])}
    return [(event, by_hash[event.item_hash]) for event in events]


def _item(store: Store, replies: tuple[Message, ...]) -> Item:
    prompt = _prompt(store, replies[0])
    if len(replies) == 1:
        return labels.item_for_single(store, prompt, _reply(replies[0]))
    return labels.item_for_pair(store, prompt, _reply(replies[0]), _reply(replies[1]))


def _reply(message: Message) -> Reply:
    return Reply(message.content, message.model, message.adapter, message.id)


def _siblings(store: Store, message: Message) -> list[Message]:
    return chats.answers(store, message.parent_id) if message.parent_id is not None else [message]


def _prompt(store: Store, answer: Message) -> tuple[Said, ...]:
    """What the model saw when it gave `answer`."""
    question = None if answer.parent_id is None else chats.message(store, answer.parent_id)
    return asked.prompt(store, question, asked.of(store, answer)).messages
