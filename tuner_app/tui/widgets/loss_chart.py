"""The loss, live."""

from collections.abc import Mapping
from math import isfinite

from textual.app import ComposeResult
from textual.containers import Container
from textual_plotext import PlotextPlot

TICKS = 5


class LossChart(Container):
    """Loss over steps; values that are no numbers leave a gap."""

    def compose(self) -> ComposeResult:
        yield PlotextPlot()

    def show(self, losses: Mapping[int, float]) -> None:
        """Draw `losses` by step."""
        plot = self.query_one(PlotextPlot)
        points = sorted((step, loss) for step, loss in losses.items() if isfinite(loss))
        plot.plt.clear_data()
        plot.plt.title("loss by step")
        if points:
            steps, values = zip(*points, strict=True)
            plot.plt.plot(steps, values, marker="braille")
            plot.plt.xticks(sorted({steps[i * (len(steps) - 1) // TICKS] for i in range(TICKS + 1)}))
        plot.refresh()
