"""What the store gives back: frozen rows. Times are UTC, ISO 8601 text with microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.examples import Example
from engine.examples import Message as Turn

Verb = Literal["choose", "tie", "both_bad", "good", "bad", "correct", "skip", "undo"]
PersonKind = Literal["human", "program", "model"]
BatchKind = Literal["single", "pair"]
MemberRole = Literal["annotator", "reviewer", "admin"]


@dataclass(frozen=True)
class Person:
    """Whoever labels: a human, a program or a model."""

    id: int
    name: str
    kind: PersonKind
    created: str


@dataclass(frozen=True)
class Member:
    """A person whom the page lets in; `daily_limit` is how many labels they may give on a day (UTC), and
    `revoked` when they were shut out."""

    person_id: int
    name: str
    role: MemberRole
    daily_limit: int | None
    revoked: str | None
    created: str


@dataclass(frozen=True)
class Conversation:
    """A tree of messages; `tip_id` is the end of the branch that it is on.

    `decoding` has what departs from the settings; `shots` are hashes of examples shown before its prompts.
    """

    id: int
    uid: str
    title: str
    system: str
    created: str
    updated: str
    tip_id: int | None
    archived: bool
    decoding: Mapping[str, Any]
    shots: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """A conversation in a list; a search that found its text in a message says in which, and where.

    `excerpt` is what stands before the hit, the hit, and what stands after it.
    """

    conversation: Conversation
    message_id: int | None
    excerpt: tuple[str, str, str]


@dataclass(frozen=True)
class Message:
    """One message and, for an answer, what made it: base (`model`), adapter ("" for none), decoding, seed."""

    id: int
    uid: str
    conversation_id: int
    parent_id: int | None
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    model: str
    adapter: str
    decoding: Mapping[str, Any]
    seed: int | None
    finish: str
    created: str


@dataclass(frozen=True)
class Reply:
    """A reply to be judged; `message_id` says where it stands in a conversation, if it does."""

    content: str
    model: str = ""
    adapter: str = ""
    message_id: int | None = None


@dataclass(frozen=True)
class Item:
    """What is judged: one reply (`single`) or two (`pair`) to a prompt.

    `hash` is the SHA-256 of kind, prompt and the replies' content, model and adapter.
    """

    hash: str
    kind: Literal["single", "pair"]
    prompt: tuple[Turn, ...]
    replies: tuple[Reply, ...]
    created: str


@dataclass(frozen=True)
class LabelEvent:
    """One judgement of one person, kept for ever. `undoes` is the uid of the label that an undo takes back.

    `value` is `{"reply": index}` for choose and `{"reply": index, "text": …}` for correct, where index
    counts the item's replies; `shown` is the order in which they were displayed.
    """

    uid: str
    item_hash: str
    person: str
    verb: Verb
    value: Mapping[str, Any]
    shown: tuple[int, ...]
    undoes: str | None
    created: str


@dataclass(frozen=True)
class Maker:
    """Who answers a batch's prompts: a base, by where it comes from, with an adapter or "" for none."""

    base: str
    adapter: str = ""


@dataclass(frozen=True)
class Asked:
    """A prompt for a batch; `replies` where it has been answered already."""

    prompt: tuple[Turn, ...]
    replies: tuple[Reply, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Prompts whose answers are to be judged; `makers` answer them, drawn as `decoding` says.

    A `shared` one is handed out to people, each item to `overlap` of them, batches of high `priority` first;
    `gold_rate` of what a person gets is gold. `guidelines` are Markdown.
    """

    id: int
    uid: str
    name: str
    kind: BatchKind
    makers: tuple[Maker, ...]
    decoding: Mapping[str, Any]
    created: str
    archived: bool
    overlap: int = 1
    priority: int = 0
    gold_rate: float = 0.0
    guidelines: str = ""
    shared: bool = False


@dataclass(frozen=True)
class Progress:
    """How many prompts a batch has: judged by a person, ready to be, without answers for a reason, and, of a
    shared batch, given to as many `others` as are to judge them."""

    prompts: int
    judged: int
    ready: int
    failed: int
    others: int = 0

    @property
    def left(self) -> int:
        """How many are still to be judged, answered or not."""
        return self.prompts - self.judged - self.failed - self.others


@dataclass(frozen=True)
class Waiting:
    """An item of a batch that can be judged; `standing` is the uid of the label that it has all the same,
    because a later one was taken back, and `shown` the order of its replies when that one was given."""

    position: int
    item: Item
    standing: str | None = None
    shown: tuple[int, ...] = ()


@dataclass(frozen=True)
class Added:
    """What an import brought: examples that were not there before, and ones that were (repeats included)."""

    new: int
    known: int


@dataclass(frozen=True)
class ExampleRow:
    """A stored example; `source` is the import that first brought it, "" when labels made it."""

    hash: str
    kind: str
    example: Example
    source: str
    line: int | None
    created: str


@dataclass(frozen=True)
class Source:
    """How many examples of one kind an import has brought."""

    name: str
    kind: str
    rows: int
    added: str


@dataclass(frozen=True)
class Summary:
    """What a selection holds, examples of one kind or prompts. `repeated` counts occurrences beyond the
    first of each; `contradictory` the examples that another one says the opposite of; `good` those of rated
    replies that have a thumb up."""

    examples: int
    from_labels: int
    from_imports: int
    repeated: int
    contradictory: int
    good: int = 0
