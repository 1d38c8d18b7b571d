"""One example or label, whole."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import visible
from tuner_app.store.table_rows import Entry

LONGEST = 20_000  # characters of one text; more would be slow to draw, and nobody scrolls that far


class EntryView(VerticalScroll):
    """What was asked, what was answered, and where it came from."""

    KEYS_OF = "The text of a row"
    DEFAULT_CSS = """
    EntryView { padding: 0 1; border-top: solid $foreground 20%; scrollbar-size-vertical: 1; height: 9; }
    EntryView:focus { border-top: solid $accent; }
    EntryView Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter", "screen.to_table", "table", key_display="esc")
    ]

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, entry: Entry | None) -> None:
        """Show one, or nothing."""
        self.scroll_home(animate=False)
        self.query_one(Static).update(Content("\n").join(_lines(entry)) if entry else Content(""))

    def say(self, text: str) -> None:
        """Show why there is none."""
        self.query_one(Static).update(Content.styled(text, "$foreground-muted"))


def _lines(entry: Entry) -> list[Content]:
    parts = [(turn.role, turn.content) for turn in entry.prompt] + list(entry.replies)
    lines = [Content.styled(visible(" · ".join(entry.facts)), "$foreground-muted")]
    for name, text in parts:
        said = visible(text[:LONGEST])
        cut = f"\n… and {len(text) - LONGEST:,} characters more" if len(text) > LONGEST else ""
        lines.append(Content.assemble((name, "bold $text-primary"), " ", said, (cut, "$foreground-muted")))
    return lines
