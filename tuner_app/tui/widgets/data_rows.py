"""The rows of a form that say which data a run learns from, and how much that is."""

from functools import partial
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from engine.errors import UserError
from tuner_app import prospects, words
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.launch import WHERE_FROM
from tuner_app.store import Selection
from tuner_app.tui.widgets.form import Row, text_row
from tuner_app.tui.widgets.selection_words import SelectionWords

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp


class DataRows(Vertical):
    """A selection of examples of one kind, looked at whenever it changes; `Found` tells of it."""

    DEFAULT_CSS = "DataRows { height: auto; }"

    class Found(Message):
        """How many examples there are to learn from, and what can be said of them; 0 and why for none."""

        def __init__(self, rows: int, text: str) -> None:
            super().__init__()
            self.rows, self.text = rows, text

    def __init__(self, selection: Selection, kind: str) -> None:
        super().__init__()
        self._start, self._kind = selection, kind
        self._words = SelectionWords()
        self._surveying = self._outdated = False

    def compose(self) -> ComposeResult:
        yield text_row("data", str(self._start), "", id="data", suggester=self._words)
        yield Static(markup=False, id="summary")

    @property
    def _typed(self) -> str:
        return self.query_one("#data", Input).value.strip()

    @property
    def _row(self) -> Row:
        return self.query_one("#data").query_ancestor(Row)

    async def learn_words(self) -> None:
        """Complete the words that this store knows too."""
        self._words.known = await cast("TunerApp", self.app).database(prospects.selection_words)
        if self.query("#data"):
            self._say_words()

    def selection(self) -> Selection:
        """What is asked for; a UserError where it is no selection."""
        return Selection.parse(self._typed)

    def say(self, text: str) -> None:
        """Say below the selection what it comes to."""
        self.query_one("#summary", Static).update(Content(text))

    def survey(self, kind: str | None = None) -> None:
        """See how much there is to learn from, of another kind if one is given; what is asked meanwhile is
        looked at afterwards, once."""
        self._kind = kind or self._kind
        self._outdated = True
        if not self._surveying:
            self._surveying = True
            self._look()

    @on(Input.Changed, "#data")
    def _data_changed(self) -> None:
        self._say_words()
        self.survey()

    def _say_words(self) -> None:
        matching = self._words.matching(self._typed)
        self._row.help(one_line("  ".join(matching or self._words.known), 300))

    @work
    async def _look(self) -> None:
        try:
            while self._outdated and self.is_attached:
                self._outdated = False
                kind = self._kind
                try:
                    # in a thread of its own: a million rows take a while, and labels must not wait
                    look = partial(
                        prospects.prospect, cast("TunerApp", self.app).store, kind, self.selection()
                    )
                    found = await in_background(look)
                except UserError as error:
                    self._row.wrong(str(error))
                    self.post_message(self.Found(0, ""))
                    continue
                rows, none = found.found.examples, f"✗ No {words.PLURALS[kind]} here. {WHERE_FROM[kind]}."
                self.post_message(self.Found(rows, str(found) if rows else none))
        finally:
            self._surveying = False
