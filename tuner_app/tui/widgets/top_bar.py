"""Where the person is, which model answers, and whether a run is going on."""

from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import one_line
from tuner_app.settings import Settings

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

HELD = "◌ another program holds the database; nothing is lost "
_STATES = {
    "off": ("○ not loaded", "$foreground-muted"),
    "starting": ("◌ starting", "$text-warning"),
    "ready": ("● ready", "$text-success"),
    "failed": ("✗ failed", "$text-error"),
}


class TopBar(Horizontal):
    """One line: the place at the left; the run under way and the model at the right."""

    def __init__(self, place: str) -> None:
        super().__init__(id="top")
        self._place = place

    def compose(self) -> ComposeResult:
        yield Static(markup=False, id="place")
        yield Static(markup=False, id="who")

    def on_mount(self) -> None:
        self.place(self._place)
        for name in ("settings", "link", "training", "held"):
            self.watch(self.app, name, self._show_who, init=False)
        self._show_who()

    def place(self, text: str) -> None:
        """Change the text at the left, or what it will be once the bar is on the screen."""
        self._place = text
        content = Content.assemble(("tuner", "bold $text-primary"), "  ", one_line(text, 200))
        for shown in self.query("#place").results(Static):
            shown.update(content, layout=False)

    def _show_who(self) -> None:
        app = cast("TunerApp", self.app)
        state, style = _STATES[app.link.state]
        parts = [(f"{one_line(app.training, 32)}   ", "$text-warning")] if app.training else []
        parts += [
            (f"{one_line(_answering(app.model_link.named(app.settings)), 34)} ", "bold"),
            (state, style),
        ]
        if app.held:
            parts = [(HELD, "$text-warning")]
        content, who = Content.assemble(*parts), self.query_one("#who", Static)
        as_wide = isinstance(who.content, Content) and who.content.cell_length == content.cell_length
        who.update(
            content, layout=not as_wide
        )  # a run's every step changes it: a layout takes all that is below


def _answering(by: Settings) -> str:
    """Which model answers, in words; “base at example.org” where the settings name a server."""
    if by.chat_url:
        return f"{by.adapter or 'base'} at {urlsplit(by.chat_url).hostname}"
    base = by.base.rstrip("/").rsplit("/", 1)[-1]
    return f"{by.adapter} on {base}" if by.adapter else base
