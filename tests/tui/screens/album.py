"""Screens as text, compared with those that were looked at and kept: one file for each screen.

`ALBUM=new pytest tests/tui/screens` keeps what the screens look like now; `python
tests/tui/screens/album.py > page.html` shows all that are kept, in colour. Text, because a change of
it can be read where it is reviewed, and because all of it is smaller than ten of the SVG files that
pytest-textual-snapshot keeps (which also needs an older pytest).

A picture is a headline, its lines, and the styles of their cells: what each letter stands for, then how many
cells of which letter the lines have ("3-5 2a 78b": lines 3 to 5).
"""

import difflib
import html
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from string import ascii_letters
from time import monotonic
from typing import Any

from person import Person
from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.screen import Screen
from textual.widgets import Input, TextArea

FOLDER = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (120, 40))
SEPARATOR = "━━ "
PORT = re.compile(r"(?<=127\.0\.0\.1):\d{5}")  # of the scripted server: another each time
PATIENCE = 10  # seconds for a screen to look as it did: on a busy machine it stands still in between
NEW = os.environ.get("ALBUM") == "new"


@dataclass
class Picture:
    """What a screen showed: its lines, and of each line the runs of cells of one style."""

    lines: list[str]
    styles: list[list[tuple[int, str]]]

    def __str__(self) -> str:
        letters: dict[str, str] = {}
        for runs in self.styles:
            for _, style in runs:
                letters.setdefault(style, ascii_letters[len(letters)])
        coded = [" ".join(f"{count}{letters[style]}" for count, style in runs) for runs in self.styles]
        rows = []
        for code, same in groupby(enumerate(coded, 1), key=lambda row: row[1]):
            numbers = [number for number, _ in same]
            rows.append(f"{numbers[0]}-{numbers[-1]} {code}" if len(numbers) > 1 else f"{numbers[0]} {code}")
        return "\n".join([*self.lines, *(f"{letter} {style}" for style, letter in letters.items()), *rows])


def taken(person: Person) -> Picture:
    """What the person sees now."""
    lines, styles = [], []
    for strip in person.app.screen._compositor.render_strips():
        segments = [segment for segment in strip if segment.text and not segment.control]
        lines.append(PORT.sub(":00000", "".join(segment.text for segment in segments).rstrip()))
        cells = ((segment.cell_length, _style(segment)) for segment in segments)
        runs = groupby(cells, key=lambda cell: cell[1])
        styles.append([(sum(count for count, _ in same), style) for style, same in runs])
    return Picture(lines, styles)


def _style(segment: Segment) -> str:
    style = segment.style or Style()
    return str(style.without_color + Style(color=style.color, bgcolor=style.bgcolor) + Style(link=None))


@dataclass
class Album:
    """The pictures of one screen, which are taken one after the other and stand in one file."""

    name: str
    kept: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = dict(read(self.file)) if self.file.exists() else {}

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.txt"

    async def take(self, person: Person, state: str, *texts: str) -> None:
        """Wait for the texts, and for the screen to look as it did when it was kept, in every size."""
        await person.until(lambda: self.name == name_of(person.app.screen), lambda: self.name)
        for size in SIZES:
            await person.pilot.resize_terminal(*size)
            await person.sees(*texts)
            for field_ in person.app.screen.query("Input, TextArea").results(Input | TextArea):
                field_.cursor_blink = False
            await self._compare(person, f"{state} {size[0]}×{size[1]}")
        await person.pilot.resize_terminal(*SIZES[0])
        last, same = "", 0  # a key that comes in the middle of a resize may leave another scroll bar
        while same < 3:
            await person.pilot.pause(0.02)
            last, before = str(taken(person)), last
            same = same + 1 if last == before else 0

    async def _compare(self, person: Person, headline: str) -> None:
        expected = self.kept.get(headline, "")
        last, same, end = "", 0, monotonic() + PATIENCE
        while monotonic() < end:
            await person.pilot.pause(0.02)
            now = str(taken(person))
            same = same + 1 if now == last else 0
            last = now
            if same > 10 if NEW else now == expected:
                break
        self.seen[headline] = last
        if not NEW and last != expected:
            found = difflib.unified_diff(expected.splitlines(), last.splitlines(), "kept", "now", lineterm="")
            raise AssertionError(
                f"{self.name}, {headline}, is another. If it should be: ALBUM=new keeps it (see album.py).\n"
                + "\n".join(found)
            )

    def close(self) -> None:
        """Once all are taken: keep them, or see that none of the kept ones is missing."""
        if NEW:
            FOLDER.mkdir(exist_ok=True)
            parts = [f"{SEPARATOR}{headline}\n{picture}\n" for headline, picture in self.seen.items()]
            self.file.write_text("".join(parts), encoding="utf-8")
        assert list(self.seen) == list(self.kept) or NEW, f"{self.file} has other pictures"


def name_of(screen: Screen[Any] | type[Screen[Any]]) -> str:
    """A `NewBatchScreen` is in the album `new_batch`."""
    kind = screen if isinstance(screen, type) else type(screen)
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    return words.strip("_").removesuffix("_screen")


def read(file: Path) -> Iterator[tuple[str, str]]:
    """The headlines and pictures of a file; a headline ends with the size."""
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    at = 0
    while at < len(lines):
        headline = lines[at].removeprefix(SEPARATOR)
        start = at + 1
        at = start + int(headline.rpartition("×")[2])
        while at < len(lines) and not lines[at].startswith(SEPARATOR):
            at += 1
        yield headline, "\n".join(lines[start:at])


def page(files: list[Path]) -> str:
    """All pictures of some files, as they were on the screen."""
    parts = [
        "<!doctype html><meta charset=utf-8><style>body{background:#444;color:#fff;font:14px sans-serif}"
    ]
    parts.append("figure{display:inline-block;margin:8px;vertical-align:top}pre{font:13px/16px monospace;")
    parts.append("margin:0}span{display:inline-block;overflow:hidden;vertical-align:top;height:16px}</style>")
    for file in files:
        for headline, picture in read(file):
            parts.append(f"<figure><figcaption>{file.stem}: {headline}</figcaption><pre>")
            parts.append("\n".join(_drawn(picture, int(headline.rpartition("×")[2]))) + "</pre></figure>")
    return "".join(parts)


def _drawn(picture: str, height: int) -> Iterator[str]:
    rows = picture.split("\n")
    letters = {row[0]: row[2:] for row in rows[height:] if row[0].isalpha()}
    for row in (row for row in rows[height:] if row[0].isdigit()):
        lines, _, runs = row.partition(" ")
        first, _, last = lines.partition("-")
        for number in range(int(first), int(last or first) + 1):
            text, shown = rows[number - 1], ""
            for run in runs.split():
                cells = int(run[:-1])
                part = chop_cells(text, cells)[0] if text else ""
                text = text[len(part) :]
                part += " " * (cells - cell_len(part))
                style = Style.parse(letters[run[-1]]).get_html_style()
                shown += f'<span style="width:{cells}ch;{style}">{html.escape(part)}</span>'
            yield shown


if __name__ == "__main__":
    print(page([FOLDER / f"{name}.txt" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.txt"))))
