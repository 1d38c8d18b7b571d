"""What a run's worker has written: followed to its end, and searched."""

from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, RichLog

from tuner_app.clean import visible
from tuner_app.conversing.link import in_background
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.line_field import LineField
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

POLL_SECONDS = 0.5
MOST_LINES = 10_000
MOST_BYTES = 4_000_000  # of a long log, its end


class _Lines(RichLog):
    """Leaves the End key to the screen, which also takes away what it says of a line that was found."""

    def action_scroll_end(self) -> None:
        raise SkipAction


class RunLogScreen(TunerScreen):
    """The log; / looks for a text, n and N go to the lines that have it."""

    DEFAULT_CSS = """
    RunLogScreen RichLog { height: 1fr; background: $background; padding: 0 1; scrollbar-size-vertical: 1; }
    RunLogScreen RichLog:focus { background-tint: transparent; }
    RunLogScreen Input { display: none; padding: 0 1; }
    RunLogScreen Input.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "find", key_display="/"),
        Binding("n", "next(1)", "next"),
        Binding("N", "next(-1)", "previous"),
        Binding("end,G", "follow", "follow the end", key_display="end"),
        Binding("escape", "back", "back", key_display="esc"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run_name = name
        self._read = 0
        self._lines: list[str] = []
        self._found = -1

    def compose(self) -> ComposeResult:
        yield TopBar(f"log of {self._run_name}")
        yield _Lines(max_lines=MOST_LINES, wrap=False, markup=False, highlight=False)
        yield LineField(placeholder="text to find, then Enter", compact=True)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(RichLog).focus()
        self._follow()

    @work(exclusive=True)
    async def _follow(self) -> None:
        from asyncio import sleep

        file = self.tuner.home.run(self._run_name) / "log.txt"
        while self.is_attached:
            whole, self._read = await in_background(partial(_news, file, self._read))
            if not self.is_attached:
                return
            self._add(whole)
            if not self._lines:
                self.notice.say("Nothing is written yet.")
            await sleep(POLL_SECONDS)

    def _add(self, lines: list[str]) -> None:
        log = self.query_one(RichLog)
        if lines and not self._lines:
            self.notice.clear()
        at_end = log.is_vertical_scroll_end or not self._lines
        for line in lines:
            self._lines.append(visible(line))
            log.write(Text(self._lines[-1]), scroll_end=False)
        del self._lines[:-MOST_LINES]
        if lines and at_end:
            log.scroll_end(animate=False)

    def action_find(self) -> None:
        field = self.query_one(Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Submitted)
    def _asked(self) -> None:
        self.query_one(RichLog).focus()
        self._found = len(self._lines)
        self.action_next(-1)

    def action_next(self, by: int) -> None:
        """Go to the next line, or the one before, that has the text, around the end."""
        wanted = self.query_one(Input).value.lower()
        hits = [number for number, line in enumerate(self._lines) if wanted and wanted in line.lower()]
        if not hits:
            self.notice.say("Not found." if wanted else "/ asks what to look for.")
            return
        after = [number for number in hits if (number > self._found if by > 0 else number < self._found)]
        self._found = (after or hits)[0 if by > 0 else -1]
        self.query_one(RichLog).scroll_to(y=max(0, self._found - 2), animate=False)
        line = self._lines[self._found].strip()
        which = f"line {self._found + 1:,}, {hits.index(self._found) + 1} of {len(hits):,}"
        self.notice.say(f"{which}: {line[:200]}")

    def action_follow(self) -> None:
        self.notice.clear()
        self.query_one(RichLog).scroll_end(animate=False)

    def action_back(self) -> None:
        field = self.query_one(Input)
        if field.has_focus:
            field.remove_class("-open")
            self.query_one(RichLog).focus()
        else:
            self.app.pop_screen()


def _news(file: Path, start: int) -> tuple[list[str], int]:
    """The whole lines from byte `start` on, and where the next one starts."""
    try:
        with file.open("rb") as stream:
            start = max(start, file.stat().st_size - MOST_BYTES)
            stream.seek(start)
            text = stream.read()
    except OSError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    return whole.decode(errors="replace").splitlines(), start + len(whole)
