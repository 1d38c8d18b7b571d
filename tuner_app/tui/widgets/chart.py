"""A figure of one run or of several, live."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Literal

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from tuner_app.clean import one_line
from tuner_app.curves import Bucket, Curve, smoothed
from tuner_app.times import lasting
from tuner_app.tui import plot
from tuner_app.words import number as in_short

Axis = Literal["step", "time"]
MARKS = "●▲■◆✚○"
SMOOTH = 20  # a smoothed curve forgets over this part of its points


@dataclass(frozen=True)
class Series:
    """One run's curve and, where several runs are laid over each other, its name and which mark it has."""

    curve: Curve
    name: str = ""
    place: int = 0

    @property
    def window(self) -> int:
        """Over how many points it is smoothed."""
        return max(2, sum(bucket.count for bucket in self.curve.buckets) // SMOOTH)


class Chart(Widget):
    """A figure over steps or over the time of training: a title with its latest value, axes, and a line for
    each run. Several runs have a mark and a colour each."""

    DEFAULT_CSS = """
    Chart { width: 1fr; height: 1fr; padding: 0 1; }
    Chart > .chart--title { text-style: bold; color: $foreground; }
    Chart > .chart--quiet { color: $foreground; text-style: dim; }
    Chart > .chart--line-0 { color: $text-accent; }
    Chart > .chart--line-1 { color: $text-success; }
    Chart > .chart--line-2 { color: $text-warning; }
    Chart > .chart--line-3 { color: $text-error; }
    Chart > .chart--line-4 { color: $text-primary; }
    Chart > .chart--line-5 { color: $foreground; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--title",
        "chart--quiet",
        *(f"chart--line-{number}" for number in range(len(MARKS))),
    }

    def __init__(self) -> None:
        super().__init__()
        self._title = ""
        self._series: Sequence[Series] = ()
        self._axis: Axis = "step"
        self._smooth = False
        self._strips: list[Strip] | None = None

    def show(
        self, title: str, series: Sequence[Series], *, axis: Axis = "step", smooth: bool = False
    ) -> None:
        """Draw `series`, at most as many as there are `MARKS`; smoothed when asked for."""
        self._title, self._series, self._axis, self._smooth = title, series, axis, smooth
        self._strips = None
        self.refresh()

    def on_resize(self, _: Resize) -> None:
        self._strips = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        """One line of the drawing, which is made anew only when what it shows has changed."""
        width, height = self.content_size
        if self._strips is None:
            self._strips = self._drawing(width, height)
        strip = self._strips[y] if y < len(self._strips) else Strip.blank(width)
        return strip.adjust_cell_length(width).apply_style(Style(bgcolor=self.rich_style.bgcolor))

    def _drawing(self, width: int, height: int) -> list[Strip]:
        quiet = self._style("quiet")
        drawn = [Strip(self._heading())]
        lines = self._lines()
        shown = plot.spans(lines)
        room, rows = width - plot.AXIS - 1, height - 2
        if shown is None or room < 8 or rows < 2:
            return drawn
        across, up = shown
        in_front = [self._style(f"line-{series.place}") for series in self._series]
        styles = [*[quiet] * (len(lines) - len(in_front)), *in_front, quiet]  # the last: of no line
        labels = {rows // 2: (up.low + up.high) / 2} if rows > 4 else {}
        labels |= {0: up.high, rows - 1: up.low}
        for y, row in enumerate(plot.cells(lines, across, up, room, rows)):
            label = plot.number(labels[y], up.high - up.low) + "┤" if y in labels else "│"
            parts = [Segment(label.rjust(plot.AXIS + 1), quiet)]
            for owner, cells in groupby(row, key=lambda cell: cell[1]):
                parts.append(Segment("".join(text for text, _ in cells), styles[owner]))
            drawn.append(Strip(parts))
        return [*drawn, Strip([Segment(self._foot(across, room), quiet)])]

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"chart--{name}", partial=True)

    def _heading(self) -> list[Segment]:
        """The figure's name; its latest value, or for several runs each one's mark, name and value."""
        quiet, parts = self._style("quiet"), [Segment(self._title, self._style("title"))]
        for series in self._series:
            style = self._style(f"line-{series.place}")
            value = in_short(series.curve.last) if series.curve.buckets else "none"
            if series.name:
                value = f"{MARKS[series.place]} {one_line(series.name, 12)} {value}"
            parts += [Segment("  "), Segment(value, style)]
        if self._smooth and self._series:
            parts.append(Segment(f"  mean of {max(s.window for s in self._series):,} steps", quiet))
        return parts

    def _lines(self) -> list[plot.Line]:
        """What to draw: when smoothed, the values of a single run first, and over them the smoothed ones."""
        curves = [series.curve.buckets for series in self._series]
        values = [[(self._at(bucket), bucket.low, bucket.high) for bucket in buckets] for buckets in curves]
        behind = []
        if self._smooth:
            behind = [plot.Line(points) for points in values] if len(values) == 1 else []
            windows = [series.window for series in self._series]
            values = [
                [(self._at(bucket), mean, mean) for bucket, mean in zip(buckets, means, strict=True)]
                for buckets, means in zip(curves, map(smoothed, curves, windows), strict=True)
            ]
        marks = [MARKS[series.place] if series.name else "" for series in self._series]
        return behind + [plot.Line(*drawn) for drawn in zip(values, marks, strict=True)]

    def _at(self, bucket: Bucket) -> float:
        return float(bucket.step) if self._axis == "step" else bucket.seconds

    def _foot(self, across: plot.Span, room: int) -> str:
        """The axis below: where it begins and ends, and what it counts."""
        if self._axis == "step":
            first, last = f"step {across.low:,.0f}", f"{across.high:,.0f}"
        else:
            first, last = f"{lasting(across.low)} of training", lasting(across.high)
        return " " * (plot.AXIS + 1) + first + last.rjust(room - len(first))
