"""What a model was asked: all that stood before its answer, kept with the answer.

A conversation's system prompt and examples may change as it goes on, and its first messages may no longer
fit into a model's context. So each answer keeps, under "asked" in its `decoding`, what came before the
messages of its branch and how many of these were left out: what is labelled has the prompt that the model
really saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import UserError
from engine.examples import Demonstration
from engine.examples import Message as Said
from tuner_app.store import chats, examples
from tuner_app.store.database import Store
from tuner_app.store.rows import Conversation, Message

KEY = "asked"


@dataclass(frozen=True)
class Asked:
    """What the messages of a branch were sent with.

    `shots` are hashes of demonstrations that stand between the system prompt and the conversation;
    `left_out` of the branch's first messages did not fit and were not sent.
    """

    system: str = ""
    shots: tuple[str, ...] = ()
    left_out: int = 0

    def to_json(self) -> dict[str, Any]:
        """Without what is empty."""
        return {name: list(v) if name == "shots" else v for name, v in vars(self).items() if v}


@dataclass(frozen=True)
class Prompt:
    """What a model is sent: what stands `before` the conversation, and `said` in it, the first that fit."""

    asked: Asked
    before: tuple[Said, ...]
    said: tuple[Said, ...]

    @property
    def messages(self) -> tuple[Said, ...]:
        """All of it."""
        return self.before + self.said[self.asked.left_out :]

    @property
    def wire(self) -> list[dict[str, str]]:
        """The messages as a chat server takes them."""
        return [{"role": said.role, "content": said.content} for said in self.messages]


def now(conversation: Conversation) -> Asked:
    """How the conversation asks now, with nothing left out."""
    return Asked(conversation.system, conversation.shots)


def of(store: Store, answer: Message) -> Asked:
    """How an answer was asked for; one that does not say so, as its conversation asks now."""
    kept = answer.decoding.get(KEY)
    if not isinstance(kept, Mapping):
        return now(chats.get(store, answer.conversation_id))
    return Asked(kept.get("system", ""), tuple(kept.get("shots", ())), kept.get("left_out", 0))


def prompt(store: Store, question: Message | None, asked: Asked) -> Prompt:
    """What is sent to have `question` answered (None: what stands before all)."""
    path = chats.path(store, question.conversation_id, question.id) if question else []
    return Prompt(asked, before(store, asked), tuple(Said(m.role, m.content) for m in path))


def before(store: Store, asked: Asked) -> tuple[Said, ...]:
    """The system prompt and the examples' turns; examples bring no system prompt of their own."""
    start = [Said("system", asked.system)] if asked.system else []
    return (*start, *(turn for shot in asked.shots for turn in turns_of(store, shot)))


def turns_of(store: Store, shot: str) -> Sequence[Said]:
    """The turns of the demonstration with this hash; a UserError where it is none."""
    example = examples.get(store, shot)
    if not isinstance(example, Demonstration):
        raise UserError(f"Example {shot[:12]} is no demonstration: it cannot be shown before a prompt.")
    return [turn for turn in example.messages if turn.role != "system"]
