"""What a person does to answers: labels, their undoing and their tags. Each function is one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from engine.examples import Message as Said
from tuner_app.conversing import branches
from tuner_app.store import Store, asked, chats, labels, people, tags
from tuner_app.store.rows import Item, LabelEvent, Message, Reply, Verb

CORRECTED = "corrected"  # the `finish` of a message that a person wrote in place of an answer

Standing = list[tuple[LabelEvent, Item]]


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


@dataclass(frozen=True)
class Undone:
    """A label that was taken back, and the answer that it was on."""

    verb: Verb
    answer: Message


def label(store: Store, given: Label, *, person: str = people.ME) -> str:
    """Keep a label, move the conversation to the better answer, and say what was fed to training."""
    with store.write():
        item = _item(store, given.replies)
        event = labels.record(
            store,
            item.hash,
            given.verb,
            value=given.value,
            shown=given.shown,
            person=person,
            uid=given.uid,
        )
        _follow(store, given, person)
        return labels.describe_fed(labels.fed(item, event))


def undo(store: Store, message: Message, uid: str, *, person: str = people.ME) -> Undone | None:
    """Take back the latest label on a message, or where it has none the latest in its conversation."""
    with store.write():
        standing = on_answers(store, [message], person=person).get(message.id)
        found = (standing[-1], message) if standing else _latest(store, message.conversation_id, person)
        if found is None:
            return None
        (event, item), answer = found
        labels.undo(store, item.hash, person=person, uid=uid)
        _go_back(store, item, answer, person)
        return Undone(event.verb, answer)


def take_back(store: Store, given: Label, uid: str, *, person: str = people.ME) -> None:
    """Undo the label that was given, and go back to the first of its replies."""
    with store.write():
        item = _item(store, given.replies)
        labels.undo(store, item.hash, person=person, uid=uid)
        _go_back(store, item, given.replies[0], person)


def tag(store: Store, label_uid: str, texts: Iterable[str], uid: str) -> tuple[str, ...]:
    """Give a label tags, or take away those that it has already; the tags that it has then."""
    with store.write():
        standing = tags.of_labels(store, [label_uid]).get(label_uid, ())
        for place, text in enumerate(dict.fromkeys(" ".join(text.split()) for text in texts)):
            tags.tag(store, label_uid, text, stands=text not in standing, uid=f"{uid}-{place}")
        return tags.of_labels(store, [label_uid]).get(label_uid, ())


def on_answers(store: Store, messages: list[Message], *, person: str = people.ME) -> dict[int, Standing]:
    """A person's labels that stand on answers, by message, oldest first; a correction's own comes first."""
    beside = {m.id: chats.beside(store, m) for m in messages if m.finish == CORRECTED}
    ids = {m.id for m in messages} | {m.id for each in beside.values() for m in each}
    events = labels.on_messages(store, ids, person)
    items = {
        item.hash: item
        for item in labels.items(store, {event.item_hash for found in events.values() for event in found})
    }
    standing: dict[int, Standing] = {}
    for message in messages:
        near = (event for other in beside.get(message.id, ()) for event in events.get(other.id, ()))
        own = [event for event in near if event.value.get("text") == message.content][:1]
        found = own + events.get(message.id, [])
        standing[message.id] = [(event, items[event.item_hash]) for event in found]
    return standing


def mark(message: Message, event: LabelEvent, item: Item) -> str:
    """What a label says of one of the answers that it is about; "" where the answer itself says it."""
    if "reply" not in event.value:
        return event.verb
    if event.value.get("text") == message.content and message.finish == CORRECTED:
        return ""  # the name that it goes by says so
    mine = item.replies[event.value["reply"]].content == message.content
    better = "chosen" if event.verb == "choose" else "correct"
    return better if mine else "rejected"


def _latest(
    store: Store, conversation_id: int, person: str
) -> tuple[tuple[LabelEvent, Item], Message] | None:
    found = labels.latest_in(store, conversation_id, person)
    if found is None:
        return None
    event, message_id = found
    return (event, labels.item(store, event.item_hash)), chats.message(store, message_id)


def _follow(store: Store, given: Label, person: str) -> None:
    if given.reply is None:
        return
    better = given.replies[given.reply]
    if given.verb == "choose":
        branches.follow(store, better, person=person)
    elif given.text is not None:
        chats.add(
            store,
            better.conversation_id,
            role="assistant",
            content=given.text,
            parent_id=better.parent_id,
            finish=CORRECTED,
            decoding={asked.KEY: asked.of(store, better).to_json()},
            uid=f"{given.uid}-text",
        )


def _go_back(store: Store, item: Item, answer: Message, person: str) -> None:
    """Leave what an undone label had led to, for what the label that now stands says, or the first reply.

    A conversation that has gone on from there stays where it is.
    """
    beside = chats.beside(store, answer)
    if chats.get(store, answer.conversation_id).tip_id not in [other.id for other in beside]:
        return
    head = labels.head(store, item.hash, person)
    text = item.replies[0].content
    if head and head.verb == "choose":
        text = item.replies[head.value["reply"]].content
    elif head and head.verb == "correct":
        text = head.value["text"]
    corrected = head is not None and head.verb == "correct"
    target = next(
        (m for m in beside if m.content == text and (m.finish == CORRECTED) == corrected), beside[0]
    )
    branches.follow(store, target, person=person)


def _item(store: Store, replies: tuple[Message, ...]) -> Item:
    prompt = _prompt(store, replies[0])
    if len(replies) == 1:
        return labels.item_for_single(store, prompt, _reply(replies[0]))
    return labels.item_for_pair(store, prompt, _reply(replies[0]), _reply(replies[1]))


def _reply(message: Message) -> Reply:
    return Reply(message.content, message.model, message.adapter, message.id)


def _prompt(store: Store, answer: Message) -> tuple[Said, ...]:
    """What the model saw when it gave `answer`."""
    question = None if answer.parent_id is None else chats.message(store, answer.parent_id)
    return asked.prompt(store, question, asked.of(store, answer)).messages
