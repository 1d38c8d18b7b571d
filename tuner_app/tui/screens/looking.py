"""Looking through a table of the data: what a filter finds, as it is found, and what the rows in view say."""

from abc import abstractmethod
from collections.abc import Iterable

from textual import on, work
from textual.content import Content
from textual.events import Click
from textual.style import Style
from textual.widgets import Input, Static

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import table_rows
from tuner_app.store.table import LABEL, VIEWS, Filter, Found
from tuner_app.store.table_rows import SHOWN, TableRow
from tuner_app.times import ago
from tuner_app.tui.database import Database
from tuner_app.tui.scan import Scan
from tuner_app.tui.screens.handling import HandlingScreen
from tuner_app.tui.widgets.entry_view import EntryView
from tuner_app.tui.widgets.row_table import RowTable

TITLES = dict(zip(VIEWS, ("demonstrations", "pairs", "rated replies", "labels"), strict=True))
SHORT = dict(zip(VIEWS, ("demos", "pairs", "rated", "labels"), strict=True))
_END = [("from", 14), ("tags", 8), ("when", 8)]
_COLUMNS = {
    "demonstration": [("prompt", -2), ("answer", -3), *_END],
    "pair": [("prompt", -2), ("chosen", -2), ("rejected", -2), *_END],
    "rated": [("thumb", 6), ("prompt", -2), ("reply", -3), *_END],
    LABEL: [("label", 10), ("prompt", -2), ("replies", -3), ("who", 10), ("tags", 8), ("when", 8)],
}
NONE = "Nothing yet: what you judge and correct comes here, and i imports a file."
NONE_FOUND = "Nothing is found. Esc takes the filter away."


class LookingScreen(HandlingScreen):
    """A screen with a `RowTable` in one of four views, an `EntryView`, and the lines `#filter` and `#views`.

    What the table shows is looked for in a thread of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._view = "pair"
        self._oldest = False
        self._wanted = Filter(self._view)
        self._scan: Scan | None = None
        self._pages: Database | None = None
        self._problem = ""

    def on_mount(self) -> None:
        self._pages = Database(self.tuner.store)
        self.table.focus()

    def on_unmount(self) -> None:
        if self._scan:
            self._scan.cancel()
            self._scan.join()
        if self._pages:
            self._pages.close()

    @property
    def wanted(self) -> Filter:
        """What the table shows."""
        return self._wanted

    @property
    def complete(self) -> bool:
        """Whether all that the filter finds is in the table."""
        return self._scan is None

    @abstractmethod
    def action_view(self, view: str) -> None:
        """Show another view."""

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
        parts = []
        for number, (view, title) in enumerate(TITLES.items(), 1):
            if view == self._view:
                part = Content.styled(f"[{number} {title}]", "bold $text-primary")
            else:
                part = Content.styled(f" {number} {SHORT[view]} ", "$foreground-muted")
            parts.append(part.stylize(Style.from_meta({"view": view})))
        rows = len(self.table.ids)
        count = f"{rows:,} row{'' if rows == 1 else 's'}" + ("" if self.complete else " …")
        marked = f" · ◆ {self.table.marked:,} marked" if self.table.marked else ""
        order = " · oldest first" if self._oldest else ""
        views.update(Content.assemble(*parts, "  ", (count + marked + order, "bold")))

    @on(Click, "#views")
    def _view_clicked(self, event: Click) -> None:
        if view := event.style.meta.get("view"):
            self.action_view(view)

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
