"""All training runs, whoever started them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from engine.errors import UserError
from tuner_app import words
from tuner_app.clean import one_line
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.rows import Run
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.run_facts import STATUS, progress
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.compare import CompareScreen
from tuner_app.tui.screens.run import RunScreen
from tuner_app.tui.times import ago, lasting
from tuner_app.tui.widgets.chart import MARKS
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.workers import supervisor

COLUMNS = ("", "run", "method", "status", "step", "left", "latest", "from", "started")


@dataclass(frozen=True)
class Listed:
    """A run in the list: its latest step, and which worker it waits for."""

    run: Run
    step: Mapping[str, Any]
    waits_for: str

    @property
    def place(self) -> tuple[int, int]:
        """Under way first, in the order of their turns; then the newest."""
        turn = ("running", "queued").index(self.run.status) if self.run.status in ("running", "queued") else 2
        if turn == 2:
            return 3, -self.run.id
        return turn + bool(self.waits_for), self.run.id


class RunsScreen(TunerScreen):
    """The list: Enter opens a run, or lays those that are marked over each other."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("o", "overlay", "lay the marked over each other"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._marked: list[str] = []
        self._listed: list[Listed] = []

    def compose(self) -> ComposeResult:
        yield TopBar("runs")
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

    def on_store_changed(self, _: StoreChanged) -> None:
        self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        try:
            self._listed = await self.tuner.database(_listed, self.tuner.home)
        except UserError as error:
            self.notice.fail(error)
            return
        if self.is_attached:
            self._show()

    def _show(self) -> None:
        table, under = self._table, self._under_cursor
        names = [listed.run.name for listed in self._listed]
        if [key.value for key in table.rows] != names:
            table.clear()
            for listed in self._listed:
                table.add_row(*self._cells(listed), key=listed.run.name)
            if under in names:
                table.move_cursor(row=names.index(under))
        else:
            for listed in self._listed:
                for column, cell in zip(table.columns, self._cells(listed), strict=True):
                    table.update_cell(listed.run.name, column, cell, update_width=True)
        if not names:
            self.notice.say("No runs yet: Ctrl+T starts one.")
        self.refresh_bindings()

    @property
    def _under_cursor(self) -> str:
        row = self._table.cursor_row
        keys = [str(key.value) for key in self._table.rows]
        return keys[row] if row < len(keys) else ""

    def _cells(self, listed: Listed) -> list[Text]:
        run, step = listed.run, listed.step
        source = str(run.spec["parent"] or run.spec["base"]).rstrip("/").removesuffix("/adapter")
        texts = (
            MARKS[self._marked.index(run.name)] if run.name in self._marked else " ",
            run.name,
            run.method,
            f"◔ after {listed.waits_for}" if listed.waits_for else STATUS[run.status],
            progress(step),
            _left(run, step),
            words.headline(step) if step else "",
            source.rsplit("/", 1)[-1],
            ago(run.started),
        )
        return [Text(one_line(text, 22)) for text in texts]

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
        if len(self._marked) > 1:
            self.action_overlay()
        else:
            self.app.push_screen(RunScreen(str(event.row_key.value)))


def _listed(store: Store, home: Home) -> list[Listed]:
    found = runs.listed(store)
    waiting = supervisor.waiting(home, found)
    rows = [Listed(run, runs.last_step(store, run.id), waiting.get(run.name, "")) for run in found]
    return sorted(rows, key=lambda row: row.place)


def _left(run: Run, step: Mapping[str, Any]) -> str:
    """How long a run has to go at the speed of its last step."""
    if run.status != "running" or not step:
        return ""
    return lasting((step["steps"] - step["step"]) * step["seconds"])
