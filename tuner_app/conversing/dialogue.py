"""What a chat asks of the store: every function is one transaction, in a thread of the database's."""

from dataclasses import dataclass
from pathlib import Path

from tuner_app.conversing import branches, judged
from tuner_app.conversing.judged import CORRECTED, Standing
from tuner_app.settings import Settings
from tuner_app.store import Store, asked, chats, people, tags
from tuner_app.store.asked import Asked, Prompt
from tuner_app.store.rows import Conversation, Message


@dataclass(frozen=True)
class Turn:
    """A message with what the person did with it.

    `marks` are names of labels, and `label` is the uid of the latest of them, which has `tags`; `original`
    is what the model wrote where the message corrects it; `place` of `alternatives` counts the messages that
    could stand in its place; `goes_on` says that the conversation went on from it on a branch not shown.
    """

    message: Message
    marks: tuple[str, ...] = ()
    label: str = ""
    tags: tuple[str, ...] = ()
    original: Message | None = None
    place: int = 1
    alternatives: int = 1
    goes_on: bool = False


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


def latest(store: Store, *, person: str = people.ME) -> Dialogue:
    """A person's conversation with the latest activity."""
    found = chats.conversations(store, limit=1, person=person)
    return load(store, found[0].id, person=person) if found else Dialogue()


def load(
    store: Store, conversation_id: int, message_id: int | None = None, *, person: str = people.ME
) -> Dialogue:
    """A conversation's branch with the person's labels on it; the branch of a message, where one is named."""
    if message_id is not None:
        branches.go_to(store, message_id, person=person)
    with store.read():
        conversation = chats.get(store, conversation_id)
        path = chats.path(store, conversation_id)
        standing = judged.on_answers(
            store, [message for message in path if message.role == "assistant"], person=person
        )
        given = tags.of_labels(store, {event.uid for found in standing.values() for event, _ in found})
        parting = chats.partings(store, conversation_id)
        turns = [_turn(store, message, standing.get(message.id, []), given, parting) for message in path]
    return Dialogue(conversation, tuple(turns))


def ask(
    store: Store,
    conversation_id: int | None,
    text: str,
    title: str,
    uid: str,
    *,
    instead: Message | None = None,
    person: str = people.ME,
) -> Message:
    """Keep what the person said, in a new conversation when there is none yet.

    With `instead` on a branch beside the one that goes through that message.
    """
    with store.write():
        if known := chats.find(store, uid):  # a retry, that begins no second conversation
            chats.own(store, known.conversation_id, person)
            return known
        if conversation_id is None:
            conversation = chats.start(store, title=title, person=person)
        else:
            conversation = chats.own(store, conversation_id, person)
        if not conversation.title and conversation.tip_id is None:  # only how it asks was set before
            chats.rename(store, conversation.id, title)
        parent_id = instead.parent_id if instead else conversation.tip_id
        return chats.add(store, conversation.id, role="user", content=text, parent_id=parent_id, uid=uid)


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


def _turn(
    store: Store,
    message: Message,
    standing: Standing,
    given: dict[str, tuple[str, ...]],
    parting: chats.Partings,
) -> Turn:
    beside = parting.beside(message)
    latest = standing[-1][0].uid if standing else ""
    return Turn(
        message,
        marks=tuple(mark for event, item in standing if (mark := judged.mark(message, event, item))),
        label=latest,
        tags=given.get(latest, ()),
        original=_original(store, standing) if message.finish == CORRECTED else None,
        place=beside.index(message.id) + 1,
        alternatives=len(beside),
        goes_on=parting.goes_on(message),
    )


def _original(store: Store, standing: Standing) -> Message | None:
    if not standing or standing[0][0].verb != "correct":
        return None  # the correction was undone, and the conversation had gone on from it
    event, item = standing[0]
    message_id = item.replies[event.value["reply"]].message_id
    return None if message_id is None else chats.message(store, message_id)
