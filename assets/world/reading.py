"""What a dialogue asks for: the reading that both the teller and the judge start from."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from assets.world.kinds import Case, Kind, articles, fill
from assets.world.nature import ANIMAL_KINDS, COLOUR_KINDS, FOOD_KINDS
from assets.world.numbers import NUMBER_KINDS, ORDER_KINDS
from assets.world.small_talk import DO_NOT_KNOW, NOT_TOLD, RECALL_KINDS, STORY_KINDS, TALK_KINDS, TOLD_KINDS
from assets.world.typed import normal, without_politeness
from engine.examples import Message

KINDS: tuple[Kind, ...] = (
    *ANIMAL_KINDS,
    *FOOD_KINDS,
    *COLOUR_KINDS,
    *NUMBER_KINDS,
    *ORDER_KINDS,
    *STORY_KINDS,
    *TALK_KINDS,
    *TOLD_KINDS,
    *RECALL_KINDS,
)
# Asks the last question again, of another animal or food; the last one is held out of the training.
FOLLOW_UPS = ("And {a_one}?", "What about {a_one}?", "And {many}?", "How about {many}?", "How about {a_one}?")


@dataclass(frozen=True)
class Question:
    """A dialogue that ends with the user's message, and what is right to reply.

    `answers` are the right replies as the world tells them, plainly; `accepted` adds those that the judge
    takes as well. `kind` names the kind of question, "outside" where the world holds no answer.
    """

    prompt: tuple[Message, ...]
    topic: str
    kind: str
    answers: tuple[str, ...] = field(repr=False)
    accepted: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Ask:
    """One message of the user, understood."""

    kind: Kind
    slots: Mapping[str, str]


@dataclass
class _Heard:
    """What the user has said so far: the last thing asked, and what is to be remembered."""

    last: Ask | None = None
    told: dict[str, str] = field(default_factory=dict)


def understand(prompt: Sequence[Message]) -> Question:
    """The question that the dialogue ends with; whatever the world cannot read lies outside it."""
    heard = _Heard()
    ask = None
    for message in prompt:
        if message.role == "user":
            ask = _read(message.content, heard)
            _remember(ask, heard)
    if ask is None:
        return Question(
            tuple(prompt), "outside", "outside", DO_NOT_KNOW, (*DO_NOT_KNOW, "I do not know that one.")
        )
    kind = ask.kind
    if missing := [slot for slot in kind.open if slot not in ask.slots]:
        told = heard.told.get(ask.slots.get("what", "name"))
        if told is None:
            return Question(tuple(prompt), kind.topic, kind.name, NOT_TOLD, NOT_TOLD + DO_NOT_KNOW)
        ask = Ask(kind, {**ask.slots, missing[0]: told})
    return Question(tuple(prompt), kind.topic, kind.name, kind.answers(ask.slots), kind.accepted(ask.slots))


def _read(text: str, heard: _Heard) -> Ask | None:
    """The message as it stands, or less its polite words, one by one."""
    text = normal(text)
    while True:
        if ask := _asks().get(text) or _named(text) or _follow_up(text, heard.last):
            return ask
        shorter = without_politeness(text)
        if shorter == text:
            return None
        text = shorter


def _remember(ask: Ask | None, heard: _Heard) -> None:
    heard.last = ask
    if ask is None:
        return
    if "value" in ask.slots:
        heard.told[ask.slots["what"]] = ask.slots["value"]
    elif "name" in ask.slots:
        heard.told["name"] = ask.slots["name"]


@cache
def _asks() -> dict[str, Ask]:
    """Every message that the world can read by itself, in its normal form."""
    return {
        normal(fill(wording, slots)): Ask(kind, case.slots)
        for kind in KINDS
        if "{name}" not in kind.train[0]
        for case in kind.cases
        for slots in articles(case.slots)
        for wording in kind.train + kind.held_out
    }


@cache
def _named_patterns() -> tuple[tuple[Kind, re.Pattern[str]], ...]:
    """The messages that hold a name, which can be any one word."""
    return tuple(
        (kind, re.compile(normal(wording.format(name="anyword")).replace("anyword", r"(\w+)")))
        for kind in KINDS
        if "{name}" in kind.train[0]
        for wording in kind.train + kind.held_out
    )


def _named(text: str) -> Ask | None:
    for kind, pattern in _named_patterns():
        if match := pattern.fullmatch(text):
            return Ask(kind, {"name": match[1].capitalize()})
    return None


@cache
def _its() -> dict[str, Kind]:
    return {normal(wording): kind for kind in KINDS for wording in kind.it}


@cache
def _subjects() -> dict[str, str]:
    """The follow-ups, in their normal form, with the animal or food that each is about."""
    return {
        normal(fill(wording, slots)): slots["one"]
        for kind in ANIMAL_KINDS + FOOD_KINDS
        for case in kind.cases
        for slots in articles(case.slots)
        for wording in FOLLOW_UPS
    }


@cache
def _case_of(kind: str, subject: str) -> Case | None:
    cases = next(entry.cases for entry in KINDS if entry.name == kind)
    return next((case for case in cases if case.slots.get("one") == subject), None)


def _follow_up(text: str, last: Ask | None) -> Ask | None:
    """A message that only makes sense after the last one: "And a dog?" or "Where does it live?"."""
    if last is None or "one" not in last.slots:
        return None
    kind = _its().get(text, last.kind)
    subject = _subjects().get(text) or (last.slots["one"] if text in _its() else None)
    case = _case_of(kind.name, subject) if subject else None
    return Ask(kind, case.slots) if case else None
