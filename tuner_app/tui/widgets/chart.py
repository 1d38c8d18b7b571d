"""A figure of a run, live."""

from collections.abc import Mapping
from math import isfinite

from textual.app import ComposeResult
from textual.containers import Container
from textual_plotext import PlotextPlot

TICKS = 5


class Chart(Container):
    """A figure over steps; values that are no numbers leave a gap."""

    def compose(self) -> ComposeResult:
        yield PlotextPlot()

    def show(self, name: str, values: Mapping[int, float]) -> None:
        """Draw `values` by step."""
        plot = self.query_one(PlotextPlot)
        points = sorted((step, value) for step, value in values.items() if isfinite(value))
        plot.plt.clear_data()
        plot.plt.title(f"{name.replace('_', ' ')} by step")
        if points:
            steps, heights = zip(*points, strict=True)
            plot.plt.plot(steps, heights, marker="braille")
            plot.plt.xticks(sorted({steps[i * (len(steps) - 1) // TICKS] for i in range(TICKS + 1)}))
        plot.refresh()
