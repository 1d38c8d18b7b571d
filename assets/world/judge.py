"""Whether a reply is right, in which manner it is told, and whether it is well formed.

The judge reads a reply with the tables that the world is told by. A sentence is a phrase of a manner, or
it belongs to the answer; what is left after the phrases must be one of the right answers, whole. So a list of
every answer, a right word in a wrong claim, an echo of the question and junk after the answer are all wrong.
It is strict on purpose: a right answer in words that the world does not use counts as wrong.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from assets.world.kinds import Kind
from assets.world.manners import CLOSERS, OPENERS, TAGS, Manner
from assets.world.reading import KINDS, understand
from assets.world.small_talk import DO_NOT_KNOW, NOT_TOLD
from assets.world.typed import normal
from engine.examples import Message

LONGEST = 80  # words; the longest reply that the world tells has fewer
MOST_PHRASES = 3
_BRIEF, _LENGTHY = 12, 40  # words: the gold reward falls from full to nothing between them
_MANNER_WORTH = {"warm": 1.0, "plain": 0.4}


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one reply; `words` is its length."""

    right: bool
    manner: Literal["plain", "warm", "rude", "rambling", "other"]
    well_formed: bool
    words: int


def judge(prompt: Sequence[Message], reply: str) -> Verdict:
    """The verdict on a reply to the dialogue; outside the world, "I do not know" is what is right."""
    phrases, answer, manners = _taken_apart(reply)
    accepted = {normal(right) for right in understand(prompt).accepted}
    whole = normal(" ".join(answer))
    formed = _well_formed(reply, phrases, answer, manners)
    return Verdict(
        right=whole in accepted and not any(sentence.endswith("?") for sentence in answer),
        manner=_manner(manners, formed),
        well_formed=formed,
        words=len(reply.split()),
    )


def gold(verdict: Verdict) -> float:
    """How good a reply is, from 0 to 1: right above all, then warm and brief; 0 for a malformed one."""
    if not verdict.well_formed:
        return 0.0
    brief = min(1.0, max(0.0, (_LENGTHY - verdict.words) / (_LENGTHY - _BRIEF)))
    style = 0.6 * _MANNER_WORTH.get(verdict.manner, 0.0) + 0.4 * brief
    return 0.5 + 0.5 * style if verdict.right else 0.2 * style


def _taken_apart(reply: str) -> tuple[list[str], list[str], set[Manner]]:
    """The phrases, the sentences of the answer (less a tag), and the manners of phrases and tag."""
    phrases: list[str] = []
    answer: list[str] = []
    manners: set[Manner] = set()
    for sentence in re.findall(r"[^.!?]+[.!?]*", reply):
        sentence = sentence.strip()
        if manner := _phrases().get(normal(sentence)):
            phrases.append(sentence)
            manners.add(manner)
        elif sentence:
            answer.append(sentence)
    if answer and (tag := _TAG.search(answer[-1])):
        answer[-1] = answer[-1][: tag.start()] + tag["stop"]
        manners.add(next(manner for manner, tags in TAGS.items() if tag["tag"].casefold() in tags))
    return phrases, answer, manners


_TAG = re.compile(
    rf", (?P<tag>{'|'.join(tag for tags in TAGS.values() for tag in tags)})(?P<stop>[.!?]*)$", re.IGNORECASE
)


@cache
def _phrases() -> dict[str, Manner]:
    return {
        normal(sentence): manner
        for table in (OPENERS, CLOSERS)
        for manner, phrases in table.items()
        for phrase in phrases
        for sentence in re.findall(r"[^.!?]+[.!?]", phrase)
    }


def _manner(manners: set[Manner], formed: bool) -> Literal["plain", "warm", "rude", "rambling", "other"]:
    """One manner alone; a reply without any phrase is plain when it is well formed."""
    if len(manners) == 1:
        return next(iter(manners))
    return "plain" if formed and not manners else "other"


def _well_formed(reply: str, phrases: list[str], answer: list[str], manners: set[Manner]) -> bool:
    """Sentences of the world's own, each once, begun and ended as sentences are, around one answer."""
    sentences = [normal(sentence) for sentence in phrases + answer]
    return (
        len(manners) < 2
        and len(reply.split()) <= LONGEST
        and len(phrases) <= MOST_PHRASES
        and len(sentences) == len(set(sentences))
        and re.fullmatch(r"(?:[A-Z0-9][^.!?]*[.!?](?: |$))+", reply) is not None
        and any(pattern.fullmatch(normal(" ".join(answer))) for pattern in _answer_patterns())
    )


@cache
def _answer_patterns() -> tuple[re.Pattern[str], ...]:
    """Every way to tell an answer of any kind, right or wrong: any of the kind's values in any slot."""
    known = {re.escape(normal(text)) for text in (*DO_NOT_KNOW, *NOT_TOLD)}
    return (re.compile("|".join(known)), *(_pattern(kind) for kind in KINDS))


def _pattern(kind: Kind) -> re.Pattern[str]:
    choices = {slot: f"(?:{'|'.join(sorted(found))})" for slot, found in _values(kind).items()}
    marks = {slot: f"slot{slot}tols" for slot in choices}
    tellings = (normal(telling.format_map(marks)) for telling in kind.tellings + kind.short)
    return re.compile(
        "|".join(re.sub(r"slot(\w+?)tols", lambda mark: choices[mark[1]], telling) for telling in tellings)
    )


def _values(kind: Kind) -> dict[str, set[str]]:
    """What can fill each slot of the kind's tellings, as patterns of normal text."""
    values = {slot: set(map(normal, choices)) for slot, choices in kind.free.items()}
    for case in kind.cases:
        for slot, value in case.slots.items():
            values.setdefault(slot, set()).add(normal(value))
    for slot in kind.open:
        values[slot] = {r"\w+"} if slot == "name" else _values_told(slot)
    return values


def _values_told(slot: str) -> set[str]:
    """What the user can have told for a slot of another kind."""
    return {normal(case.slots[slot]) for kind in KINDS for case in kind.cases if slot in case.slots}
