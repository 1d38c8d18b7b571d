"""An answer while it is being written."""

from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import one_line, visible
from tuner_app.store.asked import Asked

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp


class Draft(Static):
    """Shows the text as it comes; `count_only` hides it, for a comparison that is to stay blind.

    `sent` says what stood before the prompt that it answers.
    """

    def __init__(self, who: str, *, count_only: bool = False) -> None:
        super().__init__(markup=False, classes="answer")
        self._who = visible(who)
        self._count_only = count_only
        self.sent = Asked()
        self.restart(seed=0)

    def on_mount(self) -> None:
        self.watch(self.app, "link", self._show)  # a worker that starts says what it is doing

    def restart(self, *, seed: int) -> None:
        """Begin anew, with another seed."""
        self.seed = seed
        self.text = self.finish = self._shown = ""
        self._pieces = 0

    def append(self, text: str, finish: str) -> None:
        """Add what came, and why it ended when it has."""
        self.text += text
        self.finish = finish or self.finish
        self._shown += visible(text)
        self._pieces += 1
        self._show()

    def _show(self) -> None:
        link = cast("TunerApp", self.app).link
        if link.state == "starting":
            text = f"the model is starting … {one_line(link.detail)}"
            self.update(Content.styled(text, "$foreground-muted italic"))
        elif self._count_only:
            body = f"writing a second answer … {self._pieces} tokens; both are shown when it is complete"
            self.update(Content.styled(body, "$foreground-muted italic"))
        else:
            self.update(Content.assemble((self._who, "bold $text-accent"), "\n", self._shown, "▍"))
