"""Lines in a terminal, eight dots to a character. Our own: plotext takes seconds for a large figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

FLAT = 1e-6  # a part of its values: what moves less stands still
SMALL = 1e-4  # a span of which a number of AXIS columns can show no digits
AXIS = 8  # columns for the numbers at the left
_SIDES = (0x47, 0xB8)  # the dots of a character's left and right half
_UP = (0xFF, 0x3F, 0x1B, 0x09)  # its dots from the nth on, counted from below
_DOWN = (0xC0, 0xE4, 0xF6, 0xFF)  # its dots up to the nth
_EMPTY = 0x2800

Cell = tuple[str, int]  # a character, and the number of the line that it belongs to; −1: none


@dataclass(frozen=True)
class Line:
    """Points (x, lowest, highest) from left to right. `mark` is set on it here and there, so that lines are
    told apart without colours."""

    points: Sequence[tuple[float, float, float]]
    mark: str = ""


@dataclass(frozen=True)
class Span:
    """What an axis shows."""

    low: float
    high: float

    def scale(self, dots: int) -> float:
        """How many dots a unit of it takes, where the whole takes `dots`."""
        return (dots - 1) / (self.high - self.low)


def spans(lines: Sequence[Line]) -> tuple[Span, Span] | None:
    """What the axes have to show, across and up; None without a point."""
    points = [point for line in lines for point in line.points]
    if not points:
        return None
    across = _span(min(x for x, _, _ in points), max(x for x, _, _ in points))
    return across, _span(min(low for _, low, _ in points), max(high for _, _, high in points))


def _span(low: float, high: float) -> Span:
    if high - low > FLAT * max(abs(low), abs(high)):
        return Span(low, high)
    room = abs(low) / 10 or 1.0
    return Span(low - room, high + room)


def cells(lines: Sequence[Line], across: Span, up: Span, width: int, height: int) -> list[list[Cell]]:
    """`height` rows of `width` characters; where lines meet, the later one is on top."""
    bits = [[0] * height for _ in range(width)]  # by column, from below
    owner = [[-1] * height for _ in range(width)]
    marks: list[tuple[int, int, int]] = []
    for number, line in enumerate(lines):
        columns = _columns(line, across, up, width * 2, height * 4)
        for x, (low, high) in columns.items():
            _fill(bits[x // 2], owner[x // 2], number, _SIDES[x % 2], low, high)
        if line.mark and columns:
            marks += _marks(number, len(lines), columns, width, height)
    drawn = [
        [(chr(_EMPTY + dots) if dots else " ", owns) for dots, owns in zip(*row, strict=True)]
        for row in zip(zip(*bits, strict=True), zip(*owner, strict=True), strict=True)
    ][::-1]
    for number, row, column in marks:
        drawn[row][column] = (lines[number].mark, number)
    return drawn


def _fill(bits: list[int], owner: list[int], number: int, side: int, low: int, high: int) -> None:
    """Draw one column of dots, from `low` to `high`; what another line has drawn in its characters goes."""
    bottom, top = low // 4, high // 4
    for row in range(bottom, top + 1):
        dots = side & _UP[low % 4] if row == bottom else side
        if row == top:
            dots &= _DOWN[high % 4]
        if owner[row] == number:
            bits[row] |= dots
        else:
            owner[row], bits[row] = number, dots


def _columns(line: Line, across: Span, up: Span, width: int, height: int) -> dict[int, tuple[int, int]]:
    """By column of dots the lowest and highest dot; columns between two points are on the way."""
    found: dict[int, tuple[int, int]] = {}
    before = None
    wide, tall, left, ground = across.scale(width), up.scale(height), across.low, up.low
    for x, low, high in line.points:
        column = round((x - left) * wide)
        bottom, top = round((low - ground) * tall), round((high - ground) * tall)
        if before is not None and column > before[0]:
            _join(found, before, (column, bottom, top))
        there = found.get(column, (bottom, top))
        found[column] = (min(there[0], bottom), max(there[1], top))
        before = (column, bottom, top)
    return found


def _join(
    found: dict[int, tuple[int, int]], before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    """Fill the columns from one point to the next, without a gap between dots."""
    left, right = before[0], after[0]
    start, end = (before[1] + before[2]) / 2, (after[1] + after[2]) / 2
    at = round(start)
    for column in range(left + 1, right + 1):
        to = round(start + (end - start) * (column - left) / (right - left))
        found[column] = (min(at + 1, to), to) if at <= to else (to, at - 1)
        at = to


def _marks(
    number: int, lines: int, columns: dict[int, tuple[int, int]], width: int, height: int
) -> list[tuple[int, int, int]]:
    """Where a line's mark stands: every so often, at other places than those of the other lines."""
    apart = max(12, 4 * lines)
    places = [apart // 2 + number * apart // lines + i * apart for i in range(width // apart + 1)]
    there = [(place, columns[place * 2]) for place in places if place * 2 in columns and place < width]
    if not there:
        last = max(columns)
        there = [(last // 2, columns[last])]
    return [(number, height - 1 - (low + high) // 2 // 4, place) for place, (low, high) in there]


def number(value: float, span: float) -> str:
    """A number of an axis, with as many digits as tell it from others of a range as wide as `span`."""
    if value and (span < SMALL or abs(value) >= 1e6):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    digits = max(0, 2 - floor(log10(span))) if span > 0 else 2
    text = f"{value:.{min(digits, 5)}f}"
    return text if len(text) < AXIS else f"{value:,.0f}"
