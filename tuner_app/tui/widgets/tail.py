"""The end of a text that grows."""

from collections.abc import Sequence

from textual.widgets import Static

from tuner_app.clean import visible


class Tail(Static):
    """As many of the last lines as there is room for, one below the other."""

    DEFAULT_CSS = "Tail { content-align: left bottom; text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(markup=False, id=id)
        self._lines: Sequence[str] = ()

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines."""
        self._lines = lines
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self.update(visible("\n".join(self._lines[-max(self.content_size.height, 1) :])))
