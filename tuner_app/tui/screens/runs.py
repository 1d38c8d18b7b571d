"""All training runs, whoever started them."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from engine.errors import UserError
from tuner_app import words
from tuner_app.clean import one_line
from tuner_app.run_facts import progress, standing
from tuner_app.run_list import Listed, listed
from tuner_app.times import ago
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.compare import CompareScreen
from tuner_app.tui.screens.run import RunScreen
from tuner_app.tui.widgets.chart import MARKS
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

COLUMNS = ("", "run", "method", "status", "step", "left", "latest", "from", "started")
FLEXIBLE = (1, 3, 6, 7)  # columns that are cut, the widest first, where all do not fit
LEAST = 8  # cells that are left of them


class RunsScreen(TunerScreen):
    """The list: Enter opens a run, o lays those that are marked over each other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("o", "overlay", "lay the marked over each other"),
        Binding("escape", "app.pop_screen", "back", key_display="esc"),
    ]

    def __init__(self, only: Sequence[str] = ()) -> None:
        """`only` are the names of those that are listed; none: all."""
        super().__init__()
        self._only = only
        self._marked: list[str] = []
        self._listed: list[Listed] = []

    def compose(self) -> ComposeResult:
        yield TopBar("runs that learned from it" if self._only else "runs")
        yield DataTable[Text](cursor_type="row", zebra_stripes=False)
        yield Notice()
        yield KeyBar("open: charts, stop, resume, chat with it")

    def on_mount(self) -> None:
        table = self._table
        for name in COLUMNS:
            table.add_column(name, key=name or "mark")
        table.focus()
        self._load()

    @property
    def _table(self) -> "DataTable[Text]":
        return self.query_one(DataTable)

    def on_resize(self) -> None:
        if self._listed:
            self._show()

    def on_store_changed(self, _: StoreChanged) -> None:
        self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        try:
            found = await self.tuner.database(listed, self.tuner.home)
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
            return
        self._listed = [one for one in found if not self._only or one.run.name in self._only]
        if self.is_attached:
            self._show()

    def _show(self) -> None:
        table, under = self._table, self._under_cursor
        names = [one.run.name for one in self._listed]
        rows = [self._cells(one) for one in self._listed]
        # set here: what the table measures by itself comes a moment later, and may miss what it has drawn
        for column, width in zip(table.columns.values(), _fit(rows, table.size.width), strict=True):
            column.auto_width, column.width = False, width
        if [key.value for key in table.rows] != names:
            table.clear()
            for name, cells in zip(names, rows, strict=True):
                table.add_row(*cells, key=name)
            if under in names:
                table.move_cursor(row=names.index(under))
        else:
            for name, cells in zip(names, rows, strict=True):
                for key, cell in zip(table.columns, cells, strict=True):
                    table.update_cell(name, key, cell, update_width=True)
        if not names:
            self.notice.say("No runs yet: Ctrl+T starts one.")
        self.refresh_bindings()

    @property
    def _under_cursor(self) -> str:
        row = self._table.cursor_row
        keys = [str(key.value) for key in self._table.rows]
        return keys[row] if row < len(keys) else ""

    def _cells(self, one: Listed) -> list[Text]:
        run, step = one.run, one.step
        texts = (
            MARKS[self._marked.index(run.name)] if run.name in self._marked else " ",
            run.title,
            run.method,
            standing(run, one.waits_for),
            progress(step),
            one.left,
            words.headline(step) if step else "",
            run.source,
            ago(run.started) if run.started else "",
        )
        return [Text(one_line(text, 64)) for text in texts]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "overlay":
            return len(self._marked) > 1
        return action != "mark" or bool(self._listed)

    def action_mark(self) -> None:
        name = self._under_cursor
        if name in self._marked:
            self._marked.remove(name)
        elif len(self._marked) == len(MARKS):
            self.notice.say(f"{len(MARKS)} runs are as many as can be told apart: space takes a mark away.")
            return
        else:
            self._marked.append(name)
        self._show()
        self._table.action_cursor_down()

    def action_overlay(self) -> None:
        self.app.push_screen(CompareScreen(list(self._marked)))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.app.push_screen(RunScreen(str(event.row_key.value)))


def _fit(rows: Sequence[list[Text]], room: int) -> list[int]:
    """Cut cells so that all columns can be seen in so many cells, with the space on both sides of each.

    Returns each column's width in cells.
    """
    widths = [max(cell_len(name), *(row[at].cell_len for row in rows), 0) for at, name in enumerate(COLUMNS)]
    while sum(widths) + 2 * len(widths) > room:
        widest = max(FLEXIBLE, key=lambda at: widths[at])
        if widths[widest] <= LEAST:
            break
        widths[widest] -= 1
    for row in rows:
        for cell, width in zip(row, widths, strict=True):
            cell.truncate(width, overflow="ellipsis")
    return widths
