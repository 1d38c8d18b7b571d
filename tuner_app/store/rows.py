"""What the store gives back: frozen rows. Times are UTC, ISO 8601 text with microseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engine.examples import Example
from engine.examples import Message as Turn
from engine.spec import methods

Verb = Literal["choose", "tie", "both_bad", "good", "bad", "correct", "skip", "undo"]
RunStatus = Literal["queued", "running", "paused", "stopped", "done", "failed"]
Request = Literal["", "stop", "pause"]
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


@dataclass(frozen=True)
class Snapshot:
    """A frozen list of `rows` examples of one kind; `hash` is that of its content."""

    hash: str
    kind: str
    rows: int
    created: str


@dataclass(frozen=True)
class Base:
    """A model that adapters are trained on; `source` is a folder or a hub name."""

    id: int
    name: str
    source: str
    fingerprint: str
    created: str
    note: str = ""


@dataclass(frozen=True)
class AdapterRow:
    """A trained adapter: over which base, gone on from which parent, made by which run.

    `method` is what that run did ("" without one), and `reward` the name of the reward model that led it;
    `note` is a person's.
    """

    id: int
    name: str
    base_id: int
    parent_id: int | None
    run_id: int | None
    folder: str
    hash: str
    created: str
    method: str
    reward: str | None
    note: str = ""

    @property
    def is_reward(self) -> bool:
        """Whether it is a reward model: it scores answers and cannot give any."""
        return _makes_reward(self.method)


@dataclass(frozen=True)
class Run:
    """One training run: what it was asked to do and how far it is.

    `source` and `adapter` are names as they are now: of what it goes on from, an adapter or the base, and of
    what it has left ("" while that is nothing).
    """

    id: int
    uid: str
    name: str
    method: str
    spec: Mapping[str, Any]
    base_id: int
    parent_id: int | None
    reward_id: int | None
    snapshot_hash: str
    status: RunStatus
    request: Request
    pid: int | None
    error: str
    versions: Mapping[str, str]
    created: str
    started: str | None
    ended: str | None
    source: str
    adapter: str

    @property
    def title(self) -> str:
        """What a person knows it by: its name, after that of its model where the model was renamed."""
        return f"{self.adapter} ({self.name})" if self.adapter not in ("", self.name) else self.name

    @property
    def makes_reward(self) -> bool:
        """Whether what it leaves is a reward model."""
        return _makes_reward(self.method)


@dataclass(frozen=True)
class RunEvent:
    """Something that a run reported; `kind` and `data` as in `engine.spec.Event`, but for the first one:
    "asked", {"data": the words of the selection that its rows were chosen by}."""

    id: int
    run_id: int
    kind: str
    data: Mapping[str, Any]
    created: str


def _makes_reward(method: str) -> bool:
    known = methods().get(method)
    return known is not None and known.makes == "reward model"
