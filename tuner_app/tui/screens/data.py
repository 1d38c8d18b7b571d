"""The data: examples and labels as tables, to look through, filter, tag, edit, remove, import and export."""

from array import array
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.timer import Timer
from textual.widgets import Input, Static

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import Store, snapshots, table_rows
from tuner_app.store.table import LABEL, VIEWS, Filter, newest_view
from tuner_app.tui.screens.looking import TITLES, LookingScreen
from tuner_app.tui.widgets.entry_view import EntryView
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.line_field import LineField
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.row_table import RowTable
from tuner_app.tui.widgets.top_bar import TopBar

TYPING_SECONDS = 0.15  # without a key, after which a filter is looked for
HINT = (
    'Words, tag:wrong, source:"a b.csv", person:me, from:labels, since:2026-01-31, dup:near, removed:yes,'
    " run:NAME"
)


class DataScreen(LookingScreen):
    """One table in four views."""

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
        self._typed: Timer | None = None

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
        self._open()

    @work
    async def _open(self) -> None:
        """Show the view that has what came last, or what a run was trained on."""
        try:
            self._view = await self.tuner.database(_first_view, self._given)
        except UserError as error:
            self.notice.fail(error)
        self.look()

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
