"""An answer while it is being written."""

from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import visible


class Draft(Static):
    """Shows the text as it comes; `count_only` hides it, for a comparison that is to stay blind."""

    def __init__(self, who: str, *, count_only: bool = False) -> None:
        super().__init__(markup=False, classes="answer")
        self._who = visible(who)
        self._count_only = count_only
        self.restart(seed=0)

    def on_mount(self) -> None:
        self._show()

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
        if self._count_only:
            body = f"writing a second answer … {self._pieces} tokens; both are shown when it is complete"
            self.update(Content.assemble((body, "$foreground-muted italic")))
        else:
            self.update(Content.assemble((self._who, "bold $text-accent"), "\n", self._shown, "▍"))
