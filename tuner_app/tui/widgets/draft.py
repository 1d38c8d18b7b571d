"""An answer while it is being written."""

from time import monotonic
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import one_line, visible
from tuner_app.store.asked import Asked
from tuner_app.tui.widgets.prose import Prose

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

SECONDS = 0.05  # between two looks at what has come
PATIENCE = 1.0  # times what showing it took: half of the time is left for keys


class Draft(Vertical):
    """Shows the text as it comes; `count_only` hides it, for a comparison that is to stay blind.

    `sent` says what stood before the prompt that it answers.
    """

    def __init__(self, who: str, *, count_only: bool = False) -> None:
        super().__init__(classes="answer")
        self._who = visible(who)
        self._count_only = count_only
        self._head = Static(markup=False, classes="by")
        self._said = Prose(caret=True)
        self._shown = -1
        self._not_before = 0.0
        self.sent = Asked()
        self.restart(seed=0)

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._said

    def on_mount(self) -> None:
        self.watch(self.app, "link", self._show_head)  # a worker that starts says what it is doing
        self.set_interval(SECONDS, self._show)

    def restart(self, *, seed: int) -> None:
        """Begin anew, with another seed."""
        self.seed = seed
        self.text = self.finish = ""
        self._pieces = 0

    def append(self, text: str, finish: str) -> None:
        """Add what came, and why it ended when it has."""
        self.text += text
        self.finish = finish or self.finish
        self._pieces += 1

    def _show(self) -> None:
        if self._pieces == self._shown or monotonic() < self._not_before:
            return
        started = monotonic()
        self._shown = self._pieces
        self._show_head()
        if not self._count_only:
            self._said.show(self.text)
        self.call_after_refresh(self._rest, started)

    def _rest(self, started: float) -> None:
        self._not_before = monotonic() + PATIENCE * (monotonic() - started)

    def _show_head(self) -> None:
        link = cast("TunerApp", self.app).link
        self._said.display = link.state != "starting" and not self._count_only
        if link.state == "starting":
            text, style = f"the model is starting … {one_line(link.detail)}", "$foreground-muted italic"
        elif self._count_only:
            text = f"writing a second answer … {self._pieces} tokens; both are shown when it is complete"
            style = "$foreground-muted italic"
        else:
            text, style = self._who, "bold $text-accent"
        if text != self._head.content:  # each change lays all out anew
            self._head.update(Content.styled(text, style))
