"""Lines of a table: columns as wide as they share what there is, and texts that fit into them. Pure."""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip


def widths(columns: Sequence[tuple[str, int]], total: int) -> list[int]:
    """The cells of each column, with the space after it: its own, or minus a share of what those leave."""
    fixed = sum(width for _, width in columns if width > 0)
    shares = -sum(width for _, width in columns if width < 0) or 1
    left = max(total - fixed, 0)
    return [width if width > 0 else left * -width // shares for _, width in columns]


def line(cells: Sequence[str], widths: Sequence[int], style: Style) -> Strip:
    """Texts side by side; a column without room is left out."""
    parts = []
    for text, width in zip(cells, widths, strict=False):
        if width > 1:
            parts += [fitted(text, width - 1, style), Strip([Segment(" ", style)])]
    return Strip.join(parts)


def fitted(text: str, width: int, style: Style) -> Strip:
    """`text` in exactly `width` cells, with … where it is cut."""
    whole = Strip([Segment(text, style)])
    if whole.cell_length > width:
        whole = Strip.join([whole.crop(0, width - 1), Strip([Segment("…", style)])])
    return whole.adjust_cell_length(width, style)
