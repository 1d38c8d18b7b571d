"""What examples ask, as numbers to look them up by: 8 bytes of a SHA-256, signed as SQLite has them."""

import hashlib
from typing import Any

from engine.examples import Example, Pair, Rated, canonical, prompt_of, to_json


def prompt_key(example: Example) -> int:
    """The same for all that was answered to one prompt."""
    return _short(to_json(prompt_of(example)))


def judged(example: Example) -> tuple[int | None, int | None]:
    """What was asked of a judge, and which of two ways it was answered; None for both where nothing was."""
    match example:
        case Pair(chosen=chosen, rejected=rejected):
            return _short([to_json(example)["prompt"], *sorted((chosen, rejected))]), chosen > rejected
        case Rated(reply=reply, good=good):
            return _short([to_json(example)["prompt"], reply]), good
    return None, None


def _short(data: Any) -> int:
    return int.from_bytes(hashlib.sha256(canonical(data).encode()).digest()[:8], "big", signed=True)
