"""The form of every kind of question: how it is worded, and how a right answer is told."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

Part = Literal["train", "held_out", "lessons"]


@dataclass(frozen=True)
class Case:
    """One thing that can be asked: what fills a kind's templates, `answer` included.

    `part` says who may see it: "train" everybody, "held_out" (pairs of numbers) no training text,
    "lessons" (left-out animals and foods) only what a user teaches.
    """

    slots: Mapping[str, str]
    part: Part = "train"


@dataclass(frozen=True)
class Kind:
    """One kind of question, as templates with the slots of its cases.

    `train` and `held_out` are the wordings of the question; `it` are wordings, the last one held
    out, for a thing that the dialogue has just spoken of. `tellings` are the right answers, plainly told;
    `short` are further ones that the judge takes and that nobody tells. `free` are slots of the
    answer that the teller chooses; `open` are slots that any word can fill, with none in `cases`.
    """

    name: str
    topic: str
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    tellings: tuple[str, ...]
    cases: tuple[Case, ...] = (Case({}),)
    it: tuple[str, ...] = ()
    short: tuple[str, ...] = ()
    free: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    open: tuple[str, ...] = ()
    weight: float = 1.0  # how often it is asked, next to the other kinds

    def answers(self, slots: Mapping[str, str]) -> tuple[str, ...]:
        """Every right answer that is told for these slots."""
        return tuple(answer for telling in self.tellings for answer in self._filled(telling, slots))

    def accepted(self, slots: Mapping[str, str]) -> tuple[str, ...]:
        """Every right answer that the judge takes."""
        short = tuple(answer for telling in self.short for answer in self._filled(telling, slots))
        return self.answers(slots) + short

    def _filled(self, telling: str, slots: Mapping[str, str]) -> list[str]:
        free = [name for name in self.free if "{" + name + "}" in telling]
        choices = product(*(self.free[name] for name in free))
        return [fill(telling, {**slots, **dict(zip(free, choice, strict=True))}) for choice in choices]


def fill(template: str, slots: Mapping[str, str]) -> str:
    """The template with its slots filled, every sentence beginning with a capital."""
    return re.sub(r"(?<=[.!?] )[a-z]", lambda start: start[0].upper(), capital(template.format_map(slots)))


def articles(slots: Mapping[str, str]) -> tuple[Mapping[str, str], ...]:
    """The slots as they are, and with "the" and with nothing for the article of the thing asked about."""
    if "a_one" not in slots:
        return (slots,)
    return slots, {**slots, "a_one": f"the {slots['one']}"}, {**slots, "a_one": slots["one"]}


def capital(text: str) -> str:
    """The text with its first letter in upper case and the others as they were."""
    return text[:1].upper() + text[1:]
