"""Plain text as lines that fit a width, however long it is."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import overload

from textual.content import Content

from tuner_app.clean import visible


class Rows(Sequence[Content]):
    """A long text in rows, broken where the width ends: any row is found and made without the others.

    A character is at most two cells wide, so half as many characters always fit where they are not ASCII.
    """

    def __init__(self, text: str, width: int) -> None:
        self._lines = text.split("\n")
        self._width = max(width, 2)
        rows = (-(-len(line) // self._fit(line)) if line else 1 for line in self._lines)
        self._ends = list(accumulate(rows))

    def _fit(self, line: str) -> int:
        return self._width if line.isascii() else self._width // 2

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, at: int) -> Content: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Content]: ...
    def __getitem__(self, at: int | slice) -> Content | Sequence[Content]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        number = bisect_right(self._ends, at)
        line = self._lines[number]
        start = (at - (self._ends[number - 1] if number else 0)) * self._fit(line)
        return Content(line[start : start + self._fit(line)])


def wrapped(text: str, width: int) -> list[Content]:
    """A text in lines of at most `width` cells, broken between words."""
    return Content(visible(text)).wrap(max(width, 1))
