"""HTML of what the studio shows. All text in it is cleaned and escaped here, whoever wrote it."""

import html
from collections.abc import Iterable, Sequence

from tuner_app.clean import one_line, visible

Cell = str | int | float | None
_NUMBER = ' class="number"'


class Safe(str):
    """HTML that was made here, and is put in as it is."""


def text(value: Cell) -> Safe:
    """A value as text: whole numbers with commas, nothing for None."""
    if isinstance(value, Safe):
        return value
    if value is None:
        return Safe("")
    return Safe(html.escape(f"{value:,}" if isinstance(value, int | float) else visible(value)))


def short(value: str, width: int = 60) -> Safe:
    """The start of a text on one line."""
    return Safe(html.escape(one_line(value, width)))


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str, empty: str = "") -> Safe:
    """A table with a caption; numbers stand to the right. Where there is no row it says `empty`."""
    rows = list(rows)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    if not body:
        return said(empty) if empty else Safe("")
    numbers = [any(_is_number(row[place]) for row in rows) for place in range(len(head))]
    heads = "".join(
        f'<th scope="col"{_NUMBER if number else ""}>{text(name)}</th>'
        for name, number in zip(head, numbers, strict=True)
    )
    return Safe(
        f'<div class="t-table" tabindex="0" role="group" aria-label="{text(caption)}">'  # a key scrolls it
        f"<table><caption>{text(caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def said(line: str, kind: str = "") -> Safe:
    """A line of text; `kind` is "", "good", "wrong" or "quiet"."""
    return Safe(f'<p class="t-said {kind}">{text(line)}</p>') if line else Safe("")


def line(words: str, kind: str = "") -> Safe:
    """A line of text by itself, for a `components.page`; nothing where there is none."""
    return joined([said(words, kind)]) if words else Safe("")


def block(value: str, name: str = "") -> Safe:
    """A text with its line breaks, and what it is."""
    label = f'<p class="t-name">{text(name)}</p>' if name else ""
    return Safe(f'<section class="t-block">{label}<div class="t-text">{text(value)}</div></section>')


def joined(parts: Iterable[str]) -> Safe:
    """Parts one after the other, as one element on one line: Markdown leaves such a line as it is."""
    inner = "".join(text(part) for part in parts)
    return Safe(f'<div class="t">{inner}</div>'.replace("\n", "&#10;"))


def _cell(cell: Cell) -> str:
    return f"<td{_NUMBER if _is_number(cell) else ''}>{text(cell)}</td>"


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float)
