"""Animals and foods of made-up names: told of and asked about in one breath, or asked about out of nowhere.

They make the base read and repeat names that it has never met, so that it can be taught new things.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from assets.world.facts import plural
from assets.world.kinds import Case, Kind, Part, articles, fill
from assets.world.nature import ANIMAL_KINDS, FOOD_KINDS, names_of
from assets.world.outside import made_up
from assets.world.typed import normal

KINDS = ANIMAL_KINDS + FOOD_KINDS
UNKNOWN = ("I do not know what {a_one} is.", "I have not learned about {many}.")
_ANY = "anyword"


def told_and_asked(rng: random.Random, part: Part) -> str:
    """A made-up thing, and a question about just what was told: "A blorp says moo. How do blorps go?"."""
    kind = rng.choice(KINDS)
    slots = _named(rng.choice([case for case in kind.cases if case.part == "train"]), made_up(rng))
    wording = rng.choice(kind.train if part == "train" else kind.held_out)
    return fill(f"{kind.tellings[0]} {wording}", slots)


def read_told(text: str) -> tuple[Kind, Mapping[str, str]] | None:
    """Kind and slots of a normal text that tells and asks, as `told_and_asked` does."""
    for kind, case, pattern in _told_patterns():
        if match := pattern.fullmatch(text):
            slots = _named(case, match["one"])
            if match["question"] in _questions(kind, slots):
                return replace(kind, topic="strange"), slots
    return None


def read_unknown(text: str) -> Mapping[str, str] | None:
    """The names of the thing that a normal text asks about, if it asks as one asks about animals or foods."""
    for pattern, is_plural in _unknown_patterns():
        if match := pattern.fullmatch(text):
            one = _singular(match["one"]) if is_plural else match["one"]
            if one and one not in _known():
                return names_of(one)
    return None


def unknown_answers(slots: Mapping[str, str]) -> tuple[str, ...]:
    """What is right to say of a thing that the world does not know."""
    return tuple(fill(telling, slots) for telling in UNKNOWN)


@cache
def _known() -> frozenset[str]:
    return frozenset(case.slots["one"] for kind in KINDS for case in kind.cases)


def _named(case: Case, one: str) -> dict[str, str]:
    return {**case.slots, **names_of(one)}


def _questions(kind: Kind, slots: Mapping[str, str]) -> set[str]:
    return {normal(fill(wording, s)) for s in articles(slots) for wording in kind.train + kind.held_out}


@cache
def _told_patterns() -> tuple[tuple[Kind, Case, re.Pattern[str]], ...]:
    return tuple(
        (kind, case, re.compile(_pattern(kind.tellings[0], _named(case, _ANY)) + " (?P<question>.+)"))
        for kind in KINDS
        for case in {case.slots["answer"]: case for case in kind.cases}.values()
    )


@cache
def _unknown_patterns() -> tuple[tuple[re.Pattern[str], bool], ...]:
    """A pattern for every wording and article, and whether it holds the name's plural."""
    return tuple(
        (re.compile(_pattern(wording, slots)), "{many}" in wording)
        for kind in KINDS
        for wording in kind.train + kind.held_out
        for slots in articles({"one": _ANY, "a_one": f"a {_ANY}", "many": _ANY})
    )


def _pattern(template: str, slots: Mapping[str, str]) -> str:
    """A pattern for the normal form of a filled template, its name any one word."""
    text = re.sub(rf"\ban? {_ANY}", f"an? {_ANY}", normal(fill(template, slots)))
    return text.replace(_ANY, r"(?P<one>\w+)", 1)


def _singular(word: str) -> str:
    """The noun that `word` is the plural of, "" when it is none."""
    candidates = (word[:-1], word[:-2], word[:-3] + "y")
    return next((noun for noun in candidates if noun and plural(noun) == word), "")
