"""What would become of the rows of a file."""

from array import array

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from engine.examples import Example, kind_of
from tuner_app.clean import one_line
from tuner_app.formats import Refusal
from tuner_app.intake import SHOWN, Report, gist
from tuner_app.tui.widgets.row_table import RowTable
from tuner_app.words import many

COLUMNS = [("line", 9), ("becomes", 15), ("prompt", -2), ("answers", -3)]


class ImportPreview(Vertical):
    """A line that says what the file is, a table of its rows, and in full the one under the cursor."""

    DEFAULT_CSS = """
    ImportPreview { height: 1fr; }
    ImportPreview #found { height: auto; padding: 0 1; color: $text-accent; }
    ImportPreview #whole { height: auto; max-height: 4; padding: 0 1; background: $surface; display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[int, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        yield Static(markup=False, id="found")
        yield RowTable(marks=False)
        yield Static(markup=False, id="whole")

    def on_mount(self) -> None:
        self.query_one(RowTable).clear(COLUMNS)

    def clear(self) -> None:
        """Another file."""
        self.query_one(RowTable).clear(COLUMNS)
        self.query_one("#whole").display = False
        self.say("")

    def show(self, begun: Report, first: list[tuple[Example, int]]) -> None:
        """The first rows, and those of them that are refused."""
        rows = [(refusal.line, _refused(refusal)) for refusal in begun.refused[:SHOWN]]
        rows += [(line, _taken(example, line)) for example, line in first]
        self._put([cells for _, cells in sorted(rows, key=lambda row: row[0])])
        self.count(begun, False)

    def count(self, report: Report, whole: bool) -> None:
        """How many rows there are of each kind; with the `whole` file read, all that are refused as well."""
        kinds = ", ".join(many(count, kind) for kind, count in report.kinds.items()) or "no rows"
        refused = f"{len(report.refused):,} refused" if report.refused else "none refused"
        self.say(f"{report.format} ({report.container}): {kinds}, {refused}{'' if whole else ' …'}")
        if whole and report.refused:  # all of them are known now: they come before the rows that are taken
            taken = [cells for cells in self._cells.values() if not cells[1].startswith("✗")]
            self._put([_refused(refusal) for refusal in report.refused] + taken)

    def _put(self, rows: list[tuple[str, ...]]) -> None:
        self._cells = dict(enumerate(rows))
        self.query_one(RowTable).clear(COLUMNS)
        self.query_one(RowTable).extend(array("q", range(len(rows))))

    @on(RowTable.RowsWanted)
    def _rows_wanted(self, event: RowTable.RowsWanted) -> None:
        self.query_one(RowTable).put((id, self._cells[id]) for id in event.ids if id in self._cells)

    @on(RowTable.Highlighted)
    def _highlighted(self, event: RowTable.Highlighted) -> None:
        """Say in full what is cut in the table: of a row that is refused, why."""
        line, *told = self._cells.get(event.id, ("",)) if event.id is not None else ("",)
        whole = self.query_one("#whole", Static)
        whole.display = bool(line)
        whole.update(Content(f"line {line}: {'  '.join(text for text in told if text)}"))

    def say(self, text: str) -> None:
        """Say something above the table."""
        self.query_one("#found", Static).update(Content(text))


def _refused(refusal: Refusal) -> tuple[str, ...]:
    return (f"{refusal.line:,}", "✗ refused", one_line(refusal.reason, 200), "")


def _taken(example: Example, line: int) -> tuple[str, ...]:
    prompt, replies = gist(example)
    shown = (prompt, " ┃ ".join(text[:400] for text in replies))
    return (f"{line:,}", kind_of(example), *(one_line(text, 400) for text in shown))
