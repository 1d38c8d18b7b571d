"""What is to be judged: the prompt and the replies to it, scrolled as one."""

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tuner_app.tui.spread import GAP, Spread

_RULE = "│".center(GAP)
PROMPT_SHARE = 3  # of a prompt that is too long, what fills one third of the place is shown at first


class Sheet(ScrollView, can_focus=True):
    """Lines that were set beforehand: to show others takes a repaint, and no layout.

    The labelling keys live here, so that they are dead wherever a text field has the focus; the screen says
    what they do.
    """

    DEFAULT_CSS = """
    Sheet { height: 1fr; padding: 0 1; overflow-y: scroll; overflow-x: hidden;
            scrollbar-size-vertical: 1; background: $background; }
    """
    KEYS_OF = "Judging"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "1,f",
            "screen.choose(0)",
            "first",
            key_display="1/f",
            id="choose-first",
            tooltip="the first shown is better",
        ),
        Binding(
            "2,j",
            "screen.choose(1)",
            "second",
            key_display="2/j",
            id="choose-second",
            tooltip="the second shown is better",
        ),
        Binding("0", "screen.judge('tie')", "tie", id="tie", tooltip="a tie: feeds nothing"),
        Binding("b", "screen.judge('both_bad')", "both bad", id="both-bad", tooltip="both are bad"),
        Binding("a", "screen.judge('good')", "good", id="good"),
        Binding("x", "screen.judge('bad')", "bad", id="bad"),
        Binding(
            "e", "screen.correct", "correct", id="correct", tooltip="correct the answer, or the one marked ▶"
        ),
        Binding("space", "screen.judge('skip')", "skip", id="skip", tooltip="skip: feeds nothing"),
        Binding("u", "screen.undo", "undo", id="undo", tooltip="take the last label back; again: one more"),
        Binding("d", "screen.differ", "differences", id="differences", tooltip="underline words that differ"),
        Binding("left", "screen.mark(0)", "", show=False, tooltip="mark the first, to correct it"),
        Binding("right", "screen.mark(1)", "", show=False, tooltip="mark the second, to correct it"),
        Binding("up", "scroll_lines(-1)", "", show=False, tooltip="scroll"),
        Binding("down", "scroll_lines(1)", "", show=False),
        Binding("pageup", "scroll_pages(-1)", "", show=False),
        Binding("pagedown", "scroll_pages(1)", "", show=False),
        Binding("home", "scroll_lines(-1_000_000)", "", show=False),
        Binding("end", "scroll_lines(1_000_000)", "", show=False),
    ]

    virtual_size = Reactive(Size(0, 0), layout=False)  # the scrollbar is always there

    def __init__(self) -> None:
        super().__init__()
        self._spread = Spread((), 0, 0)

    @property
    def place(self) -> int:
        """How many cells wide the lines may be."""
        return max(self.scrollable_content_region.width, 20)

    def show(self, spread: Spread, *, stay: bool = False) -> None:
        """Show these lines from where the question and the replies begin; `stay` where the view is."""
        unscrolled = self.scroll_offset.y == 0
        rows = max(len(self._spread.lines), len(spread.lines))
        self._spread = spread
        self.virtual_size = Size(spread.width, len(spread.lines))
        self.vertical_scrollbar.window_virtual_size = len(spread.lines)
        if not stay:
            start = max(0, spread.prompt - max(3, self.content_size.height // PROMPT_SHARE))
            self.scroll_to(y=start, animate=False, immediate=True)
        if unscrolled and self.scroll_offset.y == 0:
            self.refresh_lines(0, rows)
        else:
            self.refresh()

    def action_scroll_lines(self, by: int) -> None:
        self.scroll_relative(y=by, animate=False)

    def action_scroll_pages(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self.content_size.height - 1), animate=False)

    def render_line(self, y: int) -> Strip:
        base, width = self.visual_style, self.scrollable_content_region.width
        at = y + self.scroll_offset.y
        line = self._spread.lines[at] if at < len(self._spread.lines) else (Content(""),)
        if len(line) == 1:
            segments = self._segments(line[0], width, base)
        else:
            column = self._spread.column
            left, right = (self._segments(content, column, base) for content in line)
            segments = [*left, Segment(_RULE, base.rich_style), *right]
        return Strip(segments).adjust_cell_length(width, base.rich_style)  # it may just be resized

    def _segments(self, content: Content, width: int, base: Style) -> list[Segment]:
        """The text of a line, and blanks to its end."""
        parts = content.render(base, "", parse_style=self.app.stylesheet.parse_style)
        segments = [Segment(text, style.rich_style) for text, style in parts]
        return [*segments, Segment(" " * (width - content.cell_length), base.rich_style)]
