"""Questions and whole dialogues, as many as are wanted, the same for the same seed."""

import hashlib
import random
from collections.abc import Iterator
from typing import Literal

from assets.world.facts import NAMES
from assets.world.kinds import Case, Kind, Part, articles, fill
from assets.world.manners import OPENERS, RATES, Manner, wrap
from assets.world.nature import ANIMAL_KINDS, FOOD_KINDS
from assets.world.outside import made_up_name, outside
from assets.world.reading import FOLLOW_UPS, KINDS, Question, understand
from assets.world.small_talk import RECALL_KINDS, TOLD_KINDS
from assets.world.typed import in_digits, typed
from engine.examples import Message

Split = Literal["train", "held_out", "lessons", "lessons_held_out"]

# How often each topic is asked about.
TOPICS = {
    "animals": 3.0,
    "foods": 2.5,
    "numbers": 4.0,
    "colours": 1.2,
    "opposites": 1.2,
    "days": 1.2,
    "stories": 1.5,
    "talk": 1.3,
    "memory": 2.0,
    "outside": 2.2,
}
# What is hard to learn is practised more than it is asked.
_PRACTICE = {"numbers": 1.75, "memory": 1.5}
_SYSTEM = (
    "You are a helpful assistant.",
    "You are a small model of a small world.",
    "Answer the user.",
    "Be helpful and honest.",
)


def questions(n: int, seed: int, split: Split) -> list[Question]:
    """`n` questions of a split.

    "train": as the base was trained on. "held_out": wordings and pairs of numbers that no training text
    has. "lessons": about the left-out animals and foods; "lessons_held_out": the same facts, worded
    otherwise.
    """
    rng = random.Random(f"{split} {seed}")
    return [_question(rng, split) for _ in range(n)]


def dialogues(seed: int, n: int, split: Split = "train") -> Iterator[tuple[Message, ...]]:
    """`n` dialogues that end with a reply; every reply is right, its manner drawn by `RATES`."""
    rng = random.Random(f"{split} dialogues {seed}")
    for _ in range(n):
        question = _question(rng, split)
        yield (*question.prompt, Message("assistant", tell(question, any_manner(rng), rng)))


def any_manner(rng: random.Random) -> Manner:
    """A manner, drawn at the world's rates."""
    return rng.choices(list(RATES), list(RATES.values()))[0]


def tell(question: Question, manner: Manner, rng: random.Random) -> str:
    """A right reply in the manner."""
    return wrap(rng.choice(question.answers), manner, rng)


def ideal(question: Question) -> str:
    """The right, warm and brief reply of a careful annotator: always the same for a question."""
    digest = hashlib.sha256(question.prompt[-1].content.encode()).digest()
    return f"{OPENERS['warm'][digest[0] % 3]} {question.answers[0]}"


def _question(rng: random.Random, split: Split) -> Question:
    prompt: list[Message] = []
    if rng.random() < 0.05:
        prompt.append(Message("system", rng.choice(_SYSTEM)))
    *history, last = _script(rng, split)
    for text in history:
        prompt.append(Message("user", typed(text, rng)))
        prompt.append(Message("assistant", tell(understand(prompt), any_manner(rng), rng)))
    prompt.append(Message("user", typed(last, rng)))
    return understand(prompt)


def _script(rng: random.Random, split: Split) -> list[str]:
    """What the user says, turn by turn; only the last turn is of the split, the others are training's."""
    if split in ("lessons", "lessons_held_out"):
        return [_asked(rng, rng.choice(ANIMAL_KINDS + FOOD_KINDS), split)]
    chatter = [_fresh(rng, "train") for _ in range(rng.choices((0, 1, 2, 3), (50, 28, 15, 7))[0])]
    topic = _topic(rng, split)
    if topic == "memory" and rng.random() < 0.7:
        return _recall_script(rng, split, chatter)
    if topic in ("animals", "foods") and rng.random() < 0.3:
        return [*chatter, *_follow_script(rng, split, topic)]
    return [*chatter, _fresh(rng, split, topic)]


def _topic(rng: random.Random, split: Split) -> str:
    practice = _PRACTICE if split == "train" else {}
    return rng.choices(list(TOPICS), [rate * practice.get(topic, 1) for topic, rate in TOPICS.items()])[0]


def _fresh(rng: random.Random, split: Split, topic: str | None = None) -> str:
    """A message that needs no history."""
    topic = topic or _topic(rng, split)
    if topic == "outside":
        return outside(rng, _wording(split))
    kinds = [kind for kind in KINDS if kind.topic == topic]
    kind = rng.choices(kinds, [kind.weight for kind in kinds])[0]
    return _asked(rng, kind, split)


def _recall_script(rng: random.Random, split: Split, chatter: list[str]) -> list[str]:
    """Something is told, and asked for again after some turns about other things."""
    which = rng.choice((0, 0, 1))
    told, case = TOLD_KINDS[which], rng.choice(TOLD_KINDS[which].cases)
    statement = _worded(rng, told, case, "train")
    return [statement, *chatter, _worded(rng, RECALL_KINDS[which], case, _wording(split))]


def _follow_script(rng: random.Random, split: Split, topic: str) -> list[str]:
    """A question, and one more that leans on it."""
    kinds = [kind for kind in KINDS if kind.topic == topic]
    first, second = rng.choice(kinds), rng.choice(kinds)
    part = _wording(split)
    opening = _asked(rng, first, "train")
    if rng.random() < 0.5:
        return [opening, second.it[-1] if part == "held_out" else rng.choice(second.it[:-1])]
    follow = FOLLOW_UPS[-1] if part == "held_out" else rng.choice(FOLLOW_UPS[:-1])
    case = rng.choice([case for case in first.cases if case.part == "train"])
    return [opening, fill(follow, case.slots)]


def _asked(rng: random.Random, kind: Kind, split: Split) -> str:
    """The kind's question about a case of the split."""
    part: Part = "lessons" if split.startswith("lessons") else "train"
    wording = _wording(split)
    if split == "held_out" and any(case.part == "held_out" for case in kind.cases):
        part, wording = "held_out", rng.choice(("train", "held_out"))
    return _worded(rng, kind, rng.choice([case for case in kind.cases if case.part == part]), wording)


def _wording(split: Split) -> Part:
    return "held_out" if split in ("held_out", "lessons_held_out") else "train"


def _worded(rng: random.Random, kind: Kind, case: Case, part: Part) -> str:
    slots = dict(rng.choices(articles(case.slots), (85, 10, 5)[: len(articles(case.slots))])[0])
    if "{name}" in kind.train[0]:
        slots["name"] = rng.choice(NAMES) if rng.random() < 0.3 else made_up_name(rng)
    if rng.random() < 0.5:
        slots = in_digits(slots)
    return fill(rng.choice(kind.train if part == "train" else kind.held_out), slots)
