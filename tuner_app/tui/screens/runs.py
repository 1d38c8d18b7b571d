"""All training runs, whoever started them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from engine.errors import UserError
from tuner_app import words
from tuner_app.clean import one_line
from tuner_app.store import Store, runs
from tuner_app.store.rows import Run
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.run_facts import STATUS, progress
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.run import RunScreen
from tuner_app.tui.times import ago
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class RunsScreen(TunerScreen):
    """The list, newest first: Enter opens a run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def compose(self) -> ComposeResult:
        yield TopBar("runs")
        yield DataTable[Text](cursor_type="row", zebra_stripes=False)
        yield Notice()
        yield KeyBar("open: chart, stop, resume, chat with it")

    def on_mount(self) -> None:
        table = self._table
        for name in ("run", "method", "status", "step", "latest", "from", "started"):
            table.add_column(name, key=name)
        table.focus()
        self._load()

    @property
    def _table(self) -> "DataTable[Text]":
        return self.query_one(DataTable)

    def on_store_changed(self, _: StoreChanged) -> None:
        self._load()

    @work
    async def _load(self) -> None:
        try:
            listed = await self.tuner.database(_runs)
        except UserError as error:
            self.notice.fail(error)
            return
        table = self._table
        if [key.value for key in table.rows] != [run.name for run, _ in listed]:
            table.clear()
            for run, step in listed:
                table.add_row(*_cells(run, step), key=run.name)
        else:
            for run, step in listed:
                for column, cell in zip(table.columns, _cells(run, step), strict=True):
                    table.update_cell(run.name, column, cell, update_width=True)
        if not listed:
            self.notice.say("No runs yet: Ctrl+T starts one.")

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.app.push_screen(RunScreen(str(event.row_key.value)))


def _runs(store: Store) -> list[tuple[Run, Mapping[str, Any]]]:
    return [(run, runs.last_step(store, run.id)) for run in runs.listed(store)]


def _cells(run: Run, step: Mapping[str, Any]) -> list[Text]:
    source = str(run.spec["parent"] or run.spec["base"]).rstrip("/").removesuffix("/adapter")
    figure = words.headline(step) if step else ""
    texts = (run.name, run.method, STATUS[run.status], progress(step), figure, source.rsplit("/", 1)[-1])
    return [Text(one_line(text, 24)) for text in (*texts, ago(run.started))]
