"""Importing a file: what it is and what would become of its rows, before anything is kept."""

from collections.abc import Callable
from time import monotonic
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, Select
from textual.worker import Worker, get_current_worker

from engine.errors import UserError
from tuner_app.formats import FORMATS, UnknownColumnsError
from tuner_app.intake import Intake, Report, parse_columns
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.form import Row, choice_row, text_row
from tuner_app.tui.widgets.import_preview import ImportPreview
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.path_field import PathField
from tuner_app.tui.widgets.row_table import RowTable
from tuner_app.tui.widgets.top_bar import TopBar

TYPING_SECONDS = 0.3
TELL_SECONDS = 0.2


class Cancelled(Exception):  # noqa: N818 - no error: the person has changed their mind
    """The file is no longer to be read."""


class ImportScreen(TunerScreen):
    """The file is read as it is named, in a thread of its own. Enter goes to its rows, there it imports."""

    KEYS_OF = "Import"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "import", "import", key_display="⏎"),
        Binding("ctrl+s", "import", "import", tooltip="import what is shown: all rows but those refused"),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "leave", "back", key_display="esc", tooltip="stop reading or importing; back"),
    ]
    DEFAULT_CSS = """
    #file { height: auto; padding: 1 1 0 1; }
    """

    CSS = "#file PathField, #file #columns, #file #prompt { width: 9fr; }"  # wider than in other forms

    def __init__(self) -> None:
        super().__init__()
        self._typed: Timer | None = None
        self._guess = ""
        self._reading: Worker[None] | None = None
        self._importing = False
        self.imported = False

    def compose(self) -> ComposeResult:
        formats = {"": "found out", **{name: name for name in FORMATS}}
        yield TopBar("import")
        with Vertical(id="file"):
            yield Row("file", PathField(id="path"), "")
            yield choice_row("format", formats, "", "of its rows", id="format")
            yield text_row("columns", "", "", id="columns", placeholder="prompt=question,completion=answer")
            yield text_row("prompt", "", "", id="prompt", placeholder="what was asked, where rows do not say")
        yield ImportPreview()
        yield Notice()
        yield KeyBar(field="look at the rows")

    def on_mount(self) -> None:
        self.query_one(PathField).focus()

    def on_unmount(self) -> None:
        if self._reading:
            self._reading.cancel()

    @property
    def _preview(self) -> ImportPreview:
        return self.query_one(ImportPreview)

    def _intake(self) -> Intake:
        return Intake(
            self.query_one(PathField).path,
            kind=str(self.query_one("#format", Select).value),
            columns=parse_columns(self.query_one("#columns", Input).value),
            prompt=self.query_one("#prompt", Input).value.strip(),
        )

    # --- the preview

    @on(Input.Changed)
    @on(Select.Changed)
    def _changed(self) -> None:
        if self._typed:
            self._typed.stop()
        self._typed = self.set_timer(TYPING_SECONDS, self.preview)

    @on(Input.Changed, "#path")
    def _another_file(self) -> None:
        """What was said of one file, and guessed of its columns, says nothing of another's."""
        columns = self.query_one("#columns", Input)
        if self._guess and columns.value == self._guess:
            columns.value = self._guess = ""
        if not self._importing:
            self.notice.clear()

    def preview(self) -> None:
        """Read the file that the fields name, from its start."""
        if self._importing:
            return
        if self._typed:
            self._typed.stop()
            self._typed = None
        if self._reading:
            self._reading.cancel()
            self._reading = None
        self._preview.clear()
        try:
            intake = self._intake()
        except UserError as error:
            self._preview.say(f"✗ {error.what}")
            return
        if not intake.path.is_file():
            self._preview.say(f"✗ {_no_file(intake)}" if self.query_one(PathField).value else "")
            return
        self._preview.say("… reading")
        self._reading = self._read(intake)

    @work(thread=True)
    def _read(self, intake: Intake) -> None:
        tell = self._teller()
        try:
            begun = Report(str(intake.path))
            first = intake.first(begun)
            tell(self._preview.show, begun, first)
            report = Report(str(intake.path))
            intake.read(report, progress=_Often(lambda: tell(self._count, report, False)))
            tell(self._count, report, True)
        except UnknownColumnsError as error:
            tell(self._propose, error)
        except UserError as error:
            tell(self._unreadable, error)
        except Cancelled:
            pass

    def _teller(self) -> Callable[..., None]:
        """What a thread calls to have something done on the screen; it ends a thread that was cancelled."""
        worker = get_current_worker()

        def tell(function: Callable[..., object], *args: object) -> None:
            if worker.is_cancelled:
                raise Cancelled
            self.app.call_from_thread(function, *args)

        return tell

    def _propose(self, error: UnknownColumnsError) -> None:
        """Columns that no format has: fill in a guess of what they are, for the person to mend."""
        columns = self.query_one("#columns", Input)
        if columns.value:
            self._preview.say(f"✗ {error}")
            return
        columns.value = self._guess = ",".join(f"{role}={name}" for role, name in error.proposal.items())
        self.notice.wait(f"{error.what} The columns above are a guess: mend it where it is wrong.")

    def _unreadable(self, error: UserError) -> None:
        self._preview.say(f"✗ {error}")
        if self.query_one(RowTable).has_focus:  # which has no rows
            self.query_one(PathField).focus()

    def _count(self, report: Report, whole: bool) -> None:
        self._preview.count(report, whole)
        if whole and report.notes:
            self.notice.wait("\n".join(report.notes))

    # --- the import

    def on_input_submitted(self) -> None:
        """Nothing is imported that has not been seen."""
        if self._typed:  # what was typed last is not read yet
            self.preview()
        if self._reading and not self._importing:
            self.query_one(RowTable).focus()

    def action_import(self) -> None:
        if self._importing:
            return
        try:
            intake = self._intake()
        except UserError as error:
            self.notice.fail(error)
            return
        if not intake.path.is_file():
            self.notice.fail(_no_file(intake))
            return
        if self._typed:
            self._typed.stop()
        if self._reading:
            self._reading.cancel()
        self._importing = True
        self.notice.wait("Reading …")
        self._reading = self._import(intake)

    @work(thread=True)
    def _import(self, intake: Intake) -> None:
        report = Report(str(intake.path))
        tell = self._teller()
        often = _Often(lambda done, total: tell(self._progress, done, total))
        try:
            intake.keep(self.tuner.store, report, often)
            self.app.call_from_thread(self._imported, report)
        except UserError as error:
            self.app.call_from_thread(self._failed, error)
        except Cancelled:
            self.app.call_from_thread(self._failed, UserError("Stopped.", kept="Nothing was imported."))

    def _progress(self, done: int, total: int) -> None:
        what = f"Keeping: {done:,} of {total:,}" if total else f"Reading: {done:,}"
        self.notice.wait(f"{what} rows. Esc stops it, and nothing is kept.")

    def _imported(self, report: Report) -> None:
        self._importing = False
        self._count(report, True)
        if report.rows:
            self.imported = True
            refused = f", {len(report.refused):,} refused" if report.refused else ""
            self.notice.say(
                f"Imported: {report.new:,} new, {report.known:,} already there{refused}. Esc: back."
            )
        else:
            self.notice.fail("No row of this file can be taken; the reasons are in the table.")

    def _failed(self, error: UserError) -> None:
        self._importing = False
        self.notice.fail(error)

    def action_leave(self) -> None:
        if self._importing and self._reading:
            self._reading.cancel()
        else:
            self.dismiss()


class _Often:
    """Calls on a few times a second at most, however often it is called."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call
        self._next = monotonic() + TELL_SECONDS

    def __call__(self, *args: int) -> None:
        if monotonic() >= self._next:
            self._call(*args)
            self._next = monotonic() + TELL_SECONDS


def _no_file(intake: Intake) -> str:
    return f"{intake.path} is a folder." if intake.path.is_dir() else f"There is no file {intake.path}."
