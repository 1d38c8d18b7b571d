"""How people type: the same message in many shapes, and the one shape that the judge reads."""

import random
import re
from collections.abc import Mapping

from assets.world.facts import NUMBERS

_PREFIXES = (
    "Please, ",
    "Hey, ",
    "Hi, ",
    "Hello, ",
    "Okay, ",
    "So, ",
    "Excuse me, ",
    "Hey there, ",
    "Please ",
)
_SUFFIXES = (" please", ", please")
_POLITE = re.compile(
    r"^(?:please|hey there|hey|hi|hello|okay|ok|so|excuse me|and|well) (?=.)|(?<=.) (?:please|then)$"
)
_DIGITS = {str(n): word for n, word in enumerate(NUMBERS)}
_LONG_FORMS = (("n't", " not"), ("'s", " is"), ("'m", " am"), ("'re", " are"), ("'ll", " will"))
_AMERICAN = (("colour", "color"), ("favourite", "favorite"), ("grey", "gray"))


def normal(text: str) -> str:
    """Lower case, single spaces, British; no punctuation or contractions; numbers to twenty as words."""
    text = text.casefold().replace("’", "'")
    for short, long in _LONG_FORMS:
        text = text.replace(short, long)
    for british, american in _AMERICAN:
        text = text.replace(american, british)
    text = re.sub(r"(?<=\w)\s*\+\s*(?=\d)", " plus ", text)
    text = re.sub(r"(?<=\w)\s*[-−]\s*(?=\d)", " minus ", text)
    words = re.findall(r"\w+", text)
    return " ".join(_DIGITS.get(word, word) for word in words)


def without_politeness(text: str) -> str:
    """A normal text less one polite word at its start or end; the same text when there is none."""
    return _POLITE.sub("", text, count=1)


def typed(text: str, rng: random.Random) -> str:
    """The message as somebody may type it."""
    if rng.random() < 0.5:
        text = _with_signs(text, rng)
    if rng.random() < 0.15:
        text = text.replace("hat is ", "hat's ", 1)
    if rng.random() < 0.15:
        for british, american in _AMERICAN:
            text = text.replace(british, american)
    text = _politely(text, rng)
    shape = rng.random()
    if shape < 0.43:
        return text
    if shape < 0.55:
        return text.rstrip("?.!")
    if shape < 0.70:
        return text.lower().rstrip("?.!")
    if shape < 0.78:
        return text.lower()
    if shape < 0.91:
        return text.upper() if rng.random() < 0.5 else text.upper().rstrip("?.!")
    return _spaced(text, rng)


def in_digits(slots: Mapping[str, str]) -> dict[str, str]:
    """The slots with number words written as digits."""
    return {name: str(NUMBERS.index(value)) if value in NUMBERS else value for name, value in slots.items()}


def _with_signs(text: str, rng: random.Random) -> str:
    """Signs for plus and minus between digits."""
    space = rng.choice(("", " "))
    text = re.sub(r"(?<=\d) plus (?=\d)", f"{space}+{space}", text)
    return re.sub(r"(?<=\d) minus (?=\d)", f"{space}-{space}", text)


def _politely(text: str, rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.10:
        start = text if text.startswith("I ") else text[0].lower() + text[1:]
        return rng.choice(_PREFIXES) + start
    if kind < 0.15 and text[-1] in "?.":
        return text[:-1] + rng.choice(_SUFFIXES) + text[-1]
    return text


def _spaced(text: str, rng: random.Random) -> str:
    """Extra spaces at the ends and between two words."""
    words = text.split(" ")
    gap = rng.randrange(len(words))
    words[gap] += " "
    return rng.choice(("", " ")) + " ".join(words) + rng.choice(("", " ", "  "))
