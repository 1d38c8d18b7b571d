"""A prompt and the replies to it, in lines: two columns where there is room, else one under the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from textual.content import Content

from tuner_app.clean import visible
from tuner_app.store.rows import Item
from tuner_app.tui.changes import changes

WIDE = 96  # cells from which there are two columns
GAP = 3
LONGEST = 50_000  # characters of a text that are shown
_SAYS = {"user": "You", "assistant": "Answer", "system": "System", "tool": "Tool"}
_DIFFERENT = "underline bold"

Line = tuple[Content, ...]  # one column or two


@dataclass(frozen=True)
class Spread:
    """The lines, how many of them are the prompt's, and for how wide a place they are."""

    lines: tuple[Line, ...]
    prompt: int
    width: int

    @property
    def column(self) -> int:
        """The width of a column, where there are two."""
        return (self.width - GAP) // 2


def lay_out(
    item: Item, shown: Sequence[int], width: int, *, marked: int | None = None, differing: bool = False
) -> Spread:
    """`shown` are the replies' indices in the order of the screen; `marked` is a place in that order."""
    prompt = [line for turn in item.prompt for line in _turn(turn.role, turn.content, width)]
    texts = [_cut(visible(item.replies[reply].content)) for reply in shown]
    contents = [Content(text) for text in texts]
    if differing and len(texts) == 2:
        contents = _marked(texts)
    spread = Spread((), 0, width)
    column = spread.column if len(texts) == 2 and width >= WIDE else width
    blocks = [
        [_head(place, column, place == marked, len(texts)), *content.wrap(column)]
        for place, content in enumerate(contents)
    ]
    lines: list[Line]
    if column < width:
        lines = list(zip_longest(*blocks, fillvalue=Content("")))
    else:
        lines = [(line,) for block in blocks for line in [*block, Content("")]]
    return Spread((*((line,) for line in prompt), *lines), len(prompt), width)


def _turn(role: str, text: str, width: int) -> list[Content]:
    said = Content.assemble((f"{_SAYS[role]}: ", "bold $text-accent"), _cut(visible(text)))
    return [*said.wrap(width), Content("")]


def _head(place: int, width: int, marked: bool, count: int) -> Content:
    name = f" {place + 1} " if count > 1 else " the answer "
    text = f"▶{name}" if marked else f"─{name}"
    rule = ("━" if marked else "─") * max(0, width - len(text))
    return Content.styled(text + rule, "bold $text-accent" if marked else "bold")


def _marked(texts: list[str]) -> list[Content]:
    """Two texts with what the other does not have there underlined."""
    contents, at = [Content(text) for text in texts], [0, 0]
    for pieces in changes(*texts):
        for side, piece in enumerate(pieces):
            end = at[side] + len(piece)
            if pieces[0] != pieces[1]:
                contents[side] = contents[side].stylize(_DIFFERENT, at[side], end)
            at[side] = end
    return contents


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n… and {len(text) - LONGEST:,} more characters, which are not shown"
