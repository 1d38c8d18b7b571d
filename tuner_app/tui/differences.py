"""Which words of two texts differ."""

import re
from difflib import SequenceMatcher

MOST_WORDS = 3000  # comparing takes time with the product of both lengths
_WORD = re.compile(r"\w+|[^\w\s]")

Span = tuple[int, int]


def differences(first: str, second: str) -> tuple[list[Span], list[Span]] | None:
    """(start, end) of the words in each text that the other has not there; neighbours are one span.

    None where the texts are too long to compare while somebody waits.
    """
    words = [[match.span() for match in _WORD.finditer(text)] for text in (first, second)]
    if max(map(len, words)) > MOST_WORDS:
        return None
    here, there = ([text[a:b] for a, b in spans] for text, spans in zip((first, second), words, strict=True))
    found: tuple[list[Span], list[Span]] = ([], [])
    for kind, *bounds in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        for side, (start, end) in enumerate((bounds[:2], bounds[2:])):
            if end > start:
                found[side].append((words[side][start][0], words[side][end - 1][1]))
    return found
