"""Exporting examples: which, where to, and in which format."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Select, Static

from engine.errors import UserError
from engine.examples import Example
from tuner_app import formats
from tuner_app.formats import FORMATS
from tuner_app.store import Store, examples
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.form import Row, choice_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.path_field import PathField
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.words import many

WHOLE = {"demonstration": "messages", "pair": "preference", "rated": "kto-tag"}  # they hold every example
ENDINGS = ".jsonl .json .csv .tsv .parquet, or one of these and .gz"


class ExportScreen(TunerScreen):
    """Ctrl+S writes the examples; over a file that is there, only when it is pressed again."""

    KEYS_OF = "Export"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "export", "write"),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "leave", "back", key_display="esc"),
    ]
    DEFAULT_CSS = """
    #export { height: 1fr; padding: 1 1; }
    #export Static.what { height: auto; padding: 0 0 1 0; }
    """

    CSS = "#export PathField { width: 2fr; }"  # wider than in other forms

    def __init__(self, kind: str, ids: Sequence[int], what: str) -> None:
        """`ids` are examples of one kind; `what` says which they are."""
        super().__init__()
        self._kind = kind
        self._ids = ids
        self._what = what
        self._warned: Path | None = None
        self._writing = False

    def compose(self) -> ComposeResult:
        fitting = {name: name for name, form in FORMATS.items() if form.kind == self._kind}
        first = WHOLE[self._kind]
        yield TopBar("export")
        with Vertical(id="export"):
            about = f"{many(len(self._ids), self._kind)}: {self._what}\nThe file may end in {ENDINGS}."
            yield Static(about, markup=False, classes="what")
            yield Row("file", PathField(id="path"), "")
            yield choice_row("format", fitting, first, FORMATS[first].description, id="as")
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(PathField).focus()

    @on(Select.Changed, "#as")
    def _format_changed(self, event: Select.Changed) -> None:
        event.select.query_ancestor(Row).help(FORMATS[str(event.value)].description)

    @on(Input.Changed, "#path")
    def _path_changed(self) -> None:
        self._warned = None

    def on_input_submitted(self) -> None:
        self.action_export()

    def action_export(self) -> None:
        path = self.query_one(PathField).path
        if self._writing or not self.query_one(PathField).value.strip():
            return
        if path.exists() and self._warned != path:
            self._warned = path
            self.notice.fail(f"{path} is there already. Ctrl+S again writes over it.")
            return
        self._writing = True
        self.notice.wait("Writing …")
        self._write(path, str(self.query_one("#as", Select).value))

    @work(thread=True)
    def _write(self, path: Path, kind: str) -> None:
        done: Callable[[], None]
        try:
            count = formats.write(path, _examples(self.tuner.store, self._ids), kind)
        except UserError as error:
            failure = error
            done = lambda: self.notice.fail(failure)  # noqa: E731
        else:
            done = lambda: self.notice.say(f"{path}: {many(count, self._kind)} as {kind}. Esc: back.")  # noqa: E731
        self.app.call_from_thread(self._written, done)

    def _written(self, tell: Callable[[], None]) -> None:
        self._writing, self._warned = False, None
        tell()

    def action_leave(self) -> None:
        self.dismiss()


def _examples(store: Store, ids: Sequence[int]) -> Iterator[Example]:
    for start in range(0, len(ids), examples.PAGE):
        yield from examples.with_ids(store, ids[start : start + examples.PAGE])
