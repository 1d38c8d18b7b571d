"""Setting words into lines."""

from collections.abc import Sequence

from textual.content import Content

GAP = "  "


def lines_of(words: Sequence[Content], width: int) -> list[Content]:
    """`words` in lines of at most `width` cells, two spaces between; a word is never broken."""
    lines: list[Content] = []
    for word in words:
        if lines and lines[-1].cell_length + len(GAP) + word.cell_length <= width:
            lines[-1] = lines[-1] + GAP + word
        else:
            lines.append(word)
    return lines
