"""The data: examples and labels as tables, to look through, filter, tag, edit, remove, import and export."""

from array import array
from collections.abc import Iterable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Input, Static

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import Store, snapshots, table_rows
from tuner_app.store.table import LABEL, VIEWS, Filter, Found, newest_view
from tuner_app.store.table_rows import SHOWN, TableRow
from tuner_app.times import ago
from tuner_app.tui.database import Database
from tuner_app.tui.scan import Scan
from tuner_app.tui.screens.handling import HandlingScreen
from tuner_app.tui.widgets.entry_view import EntryView
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.line_field import LineField
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.row_table import RowTable
from tuner_app.tui.widgets.top_bar import TopBar

TYPING_SECONDS = 0.15  # without a key, after which a filter is looked for
TITLES = dict(zip(VIEWS, ("demonstrations", "pairs", "rated replies", "labels"), strict=True))
SHORT = dict(zip(VIEWS, ("demos", "pairs", "rated", "labels"), strict=True))
_END = [("from", 14), ("tags", 8), ("when", 8)]
_COLUMNS = {
    "demonstration": [("prompt", -2), ("answer", -3), *_END],
    "pair": [("prompt", -2), ("chosen", -2), ("rejected", -2), *_END],
    "rated": [("thumb", 6), ("prompt", -2), ("reply", -3), *_END],
    LABEL: [("label", 10), ("prompt", -2), ("replies", -3), ("who", 10), ("tags", 8), ("when", 8)],
}
HINT = (
    'Words, tag:wrong, source:"a b.csv", person:me, from:labels, since:2026-01-31, dup:near, removed:yes,'
    " run:NAME"
)

NONE = "Nothing yet: what you judge and correct comes here, and i imports a file."
NONE_FOUND = "Nothing is found. Esc takes the filter away."


class DataScreen(HandlingScreen):
    """One table in four views; what it shows is looked for in a thread of its own."""

    KEYS_OF = "Data"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                str(number), f"view('{view}')", "view", key_display="1-4", show=number == 1, tooltip=title
            )
            for number, (view, title) in enumerate(TITLES.items(), 1)
        ),
        Binding("tab", "next_view", "", show=False, tooltip="the next view"),
        Binding("i", "import", "import", tooltip="import a file, after a look at what it holds"),
        Binding("x", "export", "export", tooltip="export the marked rows, or all that the filter finds"),
        Binding("slash", "filter", "filter", key_display="/", tooltip=f"filter: {HINT}"),
        Binding("s", "seen_by", "runs", tooltip="the runs that learned from it"),
        Binding("o", "turn", "", show=False, tooltip="the newest first, or the oldest"),
        Binding("enter", "to_entry", "read", key_display="⏎", tooltip="scroll the text of the row"),
        Binding("f5", "again", "", show=False, tooltip="look again: others may have changed the data"),
        Binding("escape", "back", "back", key_display="esc", tooltip="back; a filter is cleared first"),
    ]
    DEFAULT_CSS = """
    #views { height: 1; padding: 0 1; }
    #filter { padding: 0 1; width: 1fr; }
    #halves { height: 1fr; layout: vertical; }
    DataScreen.-high EntryView { height: 40%; }
    DataScreen.-wide #halves { layout: horizontal; }
    DataScreen.-wide EntryView {
        width: 40%; height: 1fr; border-top: none; border-left: solid $foreground 20%;
    }
    DataScreen.-wide EntryView:focus { border-top: none; border-left: solid $accent; }
    """

    def __init__(self, given: str = "") -> None:
        """`given` is what the filter begins with."""
        super().__init__()
        self._given = given
        self._view = "pair"
        self._oldest = False
        self._wanted = Filter(self._view)
        self._scan: Scan | None = None
        self._pages: Database | None = None
        self._typed: Timer | None = None
        self._problem = ""

    def compose(self) -> ComposeResult:
        yield TopBar("data")
        with Vertical(id="data"):
            yield Static(markup=False, id="views")
            yield LineField(self._given, id="filter", placeholder=HINT, compact=True)
            with Container(id="halves"):
                yield RowTable()
                yield EntryView()
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self._pages = Database(self.tuner.store)
        self.table.focus()
        self._open()

    @work
    async def _open(self) -> None:
        """Show the view that has what came last, or what a run was trained on."""
        try:
            self._view = await self.tuner.database(_first_view, self._given)
        except UserError as error:
            self.notice.fail(error)
        self.look()

    def on_unmount(self) -> None:
        if self._scan:
            self._scan.cancel()
            self._scan.join()
        if self._pages:
            self._pages.close()

    # --- what is shown

    @property
    def wanted(self) -> Filter:
        """What the table shows."""
        return self._wanted

    @property
    def complete(self) -> bool:
        """Whether all that the filter finds is in the table."""
        return self._scan is None

    def look(self, *, stay: bool = False) -> None:
        """Look for the filter's rows; with `stay` the cursor keeps its place."""
        if not self.query(RowTable):
            return  # the app closes
        line = self.query_one("#filter", Input).value
        try:
            wanted = Filter.parse(line, self._view)
        except UserError as error:
            self._problem = f"✗ {error.what} {error.do}"
            self._tell()
            return
        self._view, self._wanted, self._problem = wanted.view, wanted, ""
        if self._scan:
            self._scan.cancel()
        self.table.clear(_COLUMNS[wanted.view], cursor=self.table.cursor if stay else 0)
        self._show_entry(None)
        self._scan = Scan(self.tuner.store, wanted, oldest=self._oldest, report=self._report)
        self._scan.start()
        self._tell()
        self.refresh_bindings()

    def _report(self, scan: Scan, found: "Found | UserError | None") -> None:
        """In the scan's thread: hand it to the screen's."""
        self.call_later(self._found, scan, found)

    def _found(self, scan: Scan, found: "Found | UserError | None") -> None:
        if scan is not self._scan or not self.query(RowTable):
            return
        if isinstance(found, Found):
            self.table.extend(found.ids, found.groups)
        else:
            self._scan = None
            if found:
                self.notice.fail(found)
                self._problem = "✗ not all of it could be read"
            if not self.table.ids and not self._problem:
                filtered = self.query_one("#filter", Input).value.strip()
                self.query_one(EntryView).say(NONE_FOUND if filtered else NONE)
        self._tell()

    def _tell(self) -> None:
        """Which view this is, how many rows it has, and how many are marked."""
        views = self.query_one("#views", Static)
        if self._problem:
            views.update(Content.styled(one_line(self._problem, 300), "bold"))
            return
        parts: list[str | tuple[str, str]] = []
        for number, (view, title) in enumerate(TITLES.items(), 1):
            if view == self._view:
                parts.append((f"[{number} {title}]", "bold $text-primary"))
            else:
                parts.append((f" {number} {SHORT[view]} ", "$foreground-muted"))
        rows = len(self.table.ids)
        count = f"{rows:,} row{'' if rows == 1 else 's'}" + ("" if self.complete else " …")
        marked = f" · ◆ {self.table.marked:,} marked" if self.table.marked else ""
        order = " · oldest first" if self._oldest else ""
        views.update(Content.assemble(*parts, "  ", (count + marked + order, "bold")))

    @on(RowTable.RowsWanted)
    async def _read_rows(self, event: RowTable.RowsWanted) -> None:
        self._fetch(event.ids)

    @work
    async def _fetch(self, ids: list[int]) -> None:
        view = self._view
        read = table_rows.labels_of if view == LABEL else table_rows.examples_of
        assert self._pages
        try:
            rows = await self._pages(read, ids)
        except UserError as error:
            self.notice.fail(error)
            return
        for table in self.query(RowTable):  # none while the app closes
            if view == self._view:
                table.put(_cells(view, rows))

    @on(RowTable.Highlighted)
    def _highlighted(self, event: RowTable.Highlighted) -> None:
        self._show_entry(event.id)

    @work(exclusive=True, group="entry")
    async def _show_entry(self, id: int | None) -> None:
        assert self._pages
        try:
            entry = None
            if id is not None:
                entry = await self._pages(table_rows.label if self._view == LABEL else table_rows.example, id)
        except UserError as error:
            self.notice.fail(error)
        else:
            for view in self.query(EntryView):
                view.show(entry)

    @on(RowTable.Marked)
    def _marked(self) -> None:
        self._tell()

    # --- keys

    def action_view(self, view: str) -> None:
        if view != self._view:
            self._view = view
            self.notice.clear()
            self.look()

    def action_next_view(self) -> None:
        self.action_view(VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)])

    def action_turn(self) -> None:
        self._oldest = not self._oldest
        self.look()

    def action_filter(self) -> None:
        self.query_one("#filter").focus()

    def action_again(self) -> None:
        self.look(stay=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "export":
            return self._view != LABEL
        return super().check_action(action, parameters)

    @work
    async def action_import(self) -> None:
        from tuner_app.tui.screens.importing import ImportScreen

        screen = ImportScreen()
        await self.app.push_screen_wait(screen)
        if screen.imported:
            self._open()

    def action_export(self) -> None:
        from tuner_app.tui.screens.exporting import ExportScreen

        if not self.complete:
            self.notice.fail("The filter is still looking: wait until it has found all rows.")
        elif not self.table.ids:
            self.notice.fail("There is nothing here to export.")
        else:
            marked = self.table.marked
            what = "those marked" if marked else self.query_one("#filter", Input).value or "all"
            ids = self.table.chosen() if marked else array("q", self.table.ids)
            self.app.push_screen(ExportScreen(self._view, ids, one_line(what, 200)))

    @work
    async def action_seen_by(self) -> None:
        from tuner_app.tui.screens.runs import RunsScreen

        id, label = self.table.current, self._view == LABEL
        if id is None:
            return
        try:
            names = await self.tuner.database(_learned, id, label)
        except UserError as error:
            self.notice.fail(error)
            return
        if names:
            self.app.push_screen(RunsScreen(names))
        else:
            self.notice.say("No run has learned from it yet.")

    def action_to_entry(self) -> None:
        self.query_one(EntryView).focus()

    def action_to_table(self) -> None:
        self.table.focus()

    def action_back(self) -> None:
        line = self.query_one("#filter", Input)
        if self.stop_handling():
            return
        if line.has_focus or line.value not in ("", self._given):
            line.value = "" if not line.has_focus or self._problem else line.value
            self.table.focus()
        else:
            self.app.pop_screen()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        if self._typed:
            self._typed.stop()
        self._typed = self.set_timer(TYPING_SECONDS, self._look_typed)

    def _look_typed(self) -> None:
        self._typed = None
        self.look()

    @on(Input.Submitted, "#filter")
    def _filter_entered(self) -> None:
        if self._typed:
            self._typed.stop()
            self._typed = None
            self.look()
        self.table.focus()


def _first_view(store: Store, given: str) -> str:
    run = Filter.parse(given, VIEWS[0]).run
    return snapshots.of_run(store, run)[1] if run else newest_view(store)


def _learned(store: Store, id: int, label: bool) -> list[str]:
    """The names of the runs that learned from an example or from a label."""
    if not label:
        return snapshots.runs_that_learned(store, id)
    (uid,) = table_rows.label_uids(store, [id])
    return snapshots.runs_that_saw(store, uid)


def _cells(view: str, rows: Iterable[TableRow]) -> list[tuple[int, tuple[str, ...]]]:
    shown = []
    for row in rows:
        texts = (row.prompt, *row.replies) if view == "pair" else (row.prompt, " ┃ ".join(row.replies))
        first = (row.verdict,) if view in ("rated", LABEL) else ()
        cells = (
            *first,
            *texts,
            row.origin,
            " ".join(row.tags),
            ago(row.created).removesuffix(" ago").removeprefix("just "),
        )
        shown.append((row.id, tuple(one_line(cell, SHOWN) for cell in cells)))
    return shown
