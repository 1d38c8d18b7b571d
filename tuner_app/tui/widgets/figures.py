"""The figures of one run or of several: as many charts at a time as there is room for."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Grid
from textual.events import Resize

from tuner_app.run_facts import RunFacts
from tuner_app.tui.widgets.chart import Axis, Chart, Series

WIDTH, HEIGHT = 56, 11  # a chart of a grid is at least as large
MOST = 9


class Figures(Grid):
    """Charts side by side on a large screen, one at a time on a small one."""

    DEFAULT_CSS = """
    Figures { height: 1fr; min-height: 6; grid-size: 1; grid-gutter: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.axis: Axis = "step"
        self.smooth = False
        self._runs: Sequence[tuple[str, RunFacts]] = ()
        self._first = 0
        self._room = 1

    def compose(self) -> ComposeResult:
        yield Chart()

    def on_resize(self, event: Resize) -> None:
        columns = max(1, event.size.width // WIDTH)
        rows = max(1, event.size.height // HEIGHT)
        self.styles.grid_size_columns = columns
        self._room = min(MOST, columns * rows)
        self.draw()

    @property
    def names(self) -> list[str]:
        """The figures that any of the runs has, the most telling first."""
        found = dict.fromkeys(name for _, facts in self._runs for name in facts.figures)
        return list(found)

    def show(self, runs: Sequence[tuple[str, RunFacts]]) -> None:
        """Draw these runs' figures, laid over each other; a run is its name and facts."""
        self._runs = runs
        self.draw()

    def turn(self, by: int) -> None:
        """Go `by` screenfuls of figures on, or back, around the end."""
        pages = -(-len(self.names) // self._room)
        if pages:
            self._first = (self._first // self._room + by) % pages * self._room
        self.draw()

    def draw(self) -> None:
        """Draw anew, after a change of `axis` or `smooth` for one."""
        names = self.names
        if self._first >= len(names):
            self._first = 0
        shown = names[self._first : self._first + self._room] or [""]
        charts = list(self.query(Chart))
        for chart in charts[len(shown) :]:
            chart.display = False
        if missing := len(shown) - len(charts):
            new = [Chart() for _ in range(missing)]
            self.mount(*new)
            charts += new
        for number, (chart, name) in enumerate(zip(charts, shown, strict=False)):
            chart.display = True
            series = [
                Series(facts.curves[name], run if len(self._runs) > 1 else "", place)
                for place, (run, facts) in enumerate(self._runs)
                if name in facts.curves
            ]
            hidden = number == 0 and self._room < len(names)  # then say how many there are
            which = (
                f"{self._first + 1}–{self._first + len(shown)}" if self._room > 1 else f"{self._first + 1}"
            )
            title = name.replace("_", " ") + (f" ({which} of {len(names)})" if hidden else "")
            chart.show(title, series, axis=self.axis, smooth=self.smooth)
