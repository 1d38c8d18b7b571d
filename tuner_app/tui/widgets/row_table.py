"""A table of any length: it holds the ids of its rows, and asks for what the rows in view say."""

import sys
from array import array
from collections.abc import Iterable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tuner_app.tui import columns
from tuner_app.tui.row_marks import Rows

HEADER = 1
KEPT = 2000  # rows whose texts are kept
GUTTER = 2  # cells before the first column: the mark, and the bracket of those that belong together


class RowTable(ScrollView, can_focus=True):
    """Rows of one line under a header. `columns` are (title, cells, or minus a share of what is left).

    With `marks` rows can be marked.
    """

    DEFAULT_CSS = """
    RowTable { height: 1fr; background: $background; overflow-x: hidden; scrollbar-size-vertical: 1; }
    RowTable > .row-table--header { color: $foreground-muted; text-style: underline; }
    RowTable > .row-table--cursor { background: $primary 25%; color: $foreground; text-style: bold; }
    RowTable > .row-table--marked { color: $text-accent; text-style: bold; }
    RowTable > .row-table--muted { color: $foreground-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "row-table--header",
        "row-table--cursor",
        "row-table--marked",
        "row-table--muted",
    }
    KEYS_OF = "The table"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "", show=False, tooltip="the row above"),
        Binding("down,j", "move(1)", "", show=False, tooltip="the row below"),
        Binding("pageup", "page(-1)", "", show=False, tooltip="a page up"),
        Binding("pagedown", "page(1)", "", show=False, tooltip="a page down"),
        Binding("home,g", "go(0)", "", show=False, tooltip="the first row"),
        Binding("end,G", "go(-1)", "", show=False, tooltip="the last row"),
        Binding("space", "mark", "mark", tooltip="mark the row, or take its mark off"),
        Binding("asterisk", "mark_all", "all", key_display="*", tooltip="mark all that the filter finds"),
    ]

    cursor: reactive[int] = reactive(0)

    class RowsWanted(Message):
        """What these rows say is to be shown, and not known yet."""

        def __init__(self, ids: list[int]) -> None:
            super().__init__()
            self.ids = ids

    class Highlighted(Message):
        """The cursor is on another row; None where there is none."""

        def __init__(self, id: int | None) -> None:
            super().__init__()
            self.id = id

    class Marked(Message):
        """Other rows are marked."""

    def __init__(self, *, marks: bool = True) -> None:
        super().__init__()
        self._marks = marks
        self._rows = Rows()
        self._columns: list[tuple[str, int]] = []
        self._cells: dict[int, tuple[str, ...]] = {}
        self._asked: set[int] = set()
        self._told: int | None = None
        self._aim = 0  # the row that the cursor goes to as soon as it is there

    # --- what is in it

    def clear(self, columns: list[tuple[str, int]], *, cursor: int = 0) -> None:
        """Empty it: no rows, no marks; the cursor will be on the row `cursor` once that is there."""
        self._rows, self._columns = Rows(), columns
        self.forget()
        self._aim, self._told = cursor, None
        self.cursor = 0
        self.scroll_to(y=0, animate=False)
        self._resized()
        self.post_message(self.Marked())

    def extend(self, ids: "array[int]", groups: "array[int] | None" = None) -> None:
        """Add rows at the end; `groups` numbers those that belong together."""
        self._rows.extend(ids, groups)
        self._resized()
        if self._aim:
            self.cursor = min(self._aim, len(self.ids) - 1)
            self._aim *= self._aim > self.cursor
            self._show_cursor()
        self._tell()

    def forget(self) -> None:
        """What rows say has changed: ask again."""
        self._cells.clear()
        self._asked.clear()
        self.refresh()

    def put(self, rows: Iterable[tuple[int, tuple[str, ...]]]) -> None:
        """What rows say: a text for each column, safe to show."""
        for id, cells in rows:
            self._cells[id] = cells
            self._asked.discard(id)
        while len(self._cells) > KEPT:
            del self._cells[next(iter(self._cells))]
        self.refresh()

    @property
    def ids(self) -> "array[int]":
        """The ids of its rows, in their order."""
        return self._rows.ids

    @property
    def current(self) -> int | None:
        """The id of the row under the cursor."""
        return self.ids[self.cursor] if self.cursor < len(self.ids) else None

    @property
    def marked(self) -> int:
        """How many rows are marked."""
        return self._rows.marked

    def chosen(self) -> "array[int]":
        """The marked rows; without marks the one under the cursor."""
        if self.marked:
            return self._rows.marked_ids()
        return array("q", [] if self.current is None else [self.current])

    def repeated(self) -> "array[int]":
        """All but the first of those that belong together: of the marked, or of those around the cursor."""
        return self._rows.repeated(self.cursor)

    def replace(self, old: int, new: int) -> None:
        """Show another row in the place of one."""
        self._rows.replace(old, new)
        self.refresh()
        self._tell()

    # --- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self._marks or action not in ("mark", "mark_all")

    def action_move(self, by: int) -> None:
        self._go(self.cursor + by)

    def action_page(self, pages: int) -> None:
        self._go(self.cursor + pages * max(self._page - 1, 1))

    def action_go(self, where: int) -> None:
        self._go(where if where >= 0 else len(self.ids) - 1)
        self._aim = sys.maxsize if where < 0 else 0

    def action_mark(self) -> None:
        if self.current is not None:
            self._rows.turn(self.current)
            self.post_message(self.Marked())
            self._go(self.cursor + 1)
            self.refresh()

    def action_mark_all(self) -> None:
        """All, or none where all are marked."""
        self._rows.mark_all(not self._rows.all_marked)
        self.post_message(self.Marked())
        self.refresh()

    def unmark(self) -> None:
        """Take all marks off."""
        self._rows.mark_all(False)
        self.post_message(self.Marked())
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.y - HEADER
        if event.y >= HEADER and row < len(self.ids):
            self._go(row)

    def _go(self, row: int) -> None:
        self._aim = 0
        self.cursor = min(max(row, 0), max(len(self.ids) - 1, 0))
        self._show_cursor()
        self._tell()

    def _tell(self) -> None:
        if self.current != self._told:
            self._told = self.current
            self.post_message(self.Highlighted(self.current))

    # --- drawing

    @property
    def _page(self) -> int:
        return max(self.size.height - HEADER, 1)

    def _show_cursor(self) -> None:
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self._page:
            self.scroll_to(y=self.cursor - self._page + 1, animate=False)

    def _resized(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.ids) + HEADER)
        self.refresh()

    def on_resize(self) -> None:
        self._resized()
        self._show_cursor()

    def watch_cursor(self) -> None:
        self.refresh()

    def render_line(self, y: int) -> Strip:
        if y < HEADER:
            titles = tuple(title for title, _ in self._columns)
            return self._line("  ", titles, self.get_component_rich_style("row-table--header"))
        row = self.scroll_offset.y + y - HEADER
        if row >= len(self.ids):
            return Strip.blank(self.size.width, self.rich_style)
        id = self.ids[row]
        cells = self._cells.get(id)
        if cells is None:
            self._want()
        marked = self._rows.is_marked(id)
        if row == self.cursor:
            style = self.get_component_rich_style("row-table--cursor")
        else:
            style = self.get_component_rich_style("row-table--marked") if marked else self.rich_style
        return self._line(("◆" if marked else " ") + self._rows.bracket(row), cells or ("…",), style)

    def _line(self, gutter: str, cells: tuple[str, ...], style: Style) -> Strip:
        widths = columns.widths(self._columns, self.size.width - GUTTER)
        parts = [columns.fitted(gutter, GUTTER, style), columns.line(cells, widths, style)]
        return Strip.join(parts).adjust_cell_length(self.size.width, style)

    def _want(self) -> None:
        """Ask for the rows in view, and a page on both sides of them, once."""
        top = self.scroll_offset.y
        near = range(max(top - self._page, 0), min(top + 2 * self._page, len(self.ids)))
        missing = [id for row in near if (id := self.ids[row]) not in self._cells and id not in self._asked]
        if missing:
            self._asked.update(missing)
            self.post_message(self.RowsWanted(missing))
