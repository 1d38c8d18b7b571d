"""A run's figures as SVG: a line over the steps, in the band between the lowest and highest values; and the
lines of other runs beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tuner_app import words
from tuner_app.curves import Bucket, Curve
from tuner_app.page.studio.markup import Safe, short, text
from tuner_app.page.studio.words import Words
from tuner_app.run_facts import RunFacts

WIDTH, HEIGHT = 320, 120  # static/charts.js lets them grow
LEFT, TOP, BOTTOM = 56, 8, 16  # room for the numbers
MOST = 9
MOST_BESIDE = 3  # other runs: as many as there are kinds of line in tables.css

Named = tuple[str, Curve]


def charts(facts: RunFacts, say: Words, beside: Sequence[tuple[str, RunFacts]] = ()) -> Safe:
    """The most telling figures of a run, with those of others; nothing before its first step."""
    drawn = "".join(
        chart(
            say.of_program(name.replace("_", " ")),
            facts.curves[name],
            [(run, of.curves[name]) for run, of in beside if name in of.curves],
        )
        for name in facts.figures[:MOST]
    )
    return Safe(f'<div class="t-charts">{drawn}</div>' if drawn else "")


def chart(title: str, curve: Curve, beside: Sequence[Named] = ()) -> Safe:
    """One figure with its latest value; without a number there is nothing to draw, and it says so."""
    latest = words.number(curve.last)
    heading = f"<figcaption><span>{text(title)}</span> <b>{text(latest)}</b></figcaption>"
    if not curve.buckets:
        return Safe(f'<figure class="t-chart">{heading}</figure>')
    others = [(run, other) for run, other in beside if other.buckets]
    frame = _Frame.around([curve.buckets, *(other.buckets for _, other in others)])
    about = f"{title}: {latest}; {words.number(frame.low)} – {words.number(frame.high)}"
    said = "".join(f"; {run}: {words.number(other.last)}" for run, other in others)
    lines = "".join(_line(other.buckets, frame, f"beside-{at}") for at, (_, other) in enumerate(others))
    return Safe(
        f'<figure class="t-chart">{heading}'
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{text(about + said)}">'
        f"{_axes(frame)}{_drawing(curve.buckets, frame)}{lines}</svg>{_legend(others)}</figure>"
    )


@dataclass(frozen=True)
class _Frame:
    """Which steps and values a drawing shows."""

    first: int
    last: int
    low: float
    high: float

    @staticmethod
    def around(curves: Sequence[Sequence[Bucket]]) -> "_Frame":
        """All of these curves, none of them empty."""
        return _Frame(
            min(buckets[0].step for buckets in curves),
            max(buckets[-1].step for buckets in curves),
            min(bucket.low for buckets in curves for bucket in buckets),
            max(bucket.high for buckets in curves for bucket in buckets),
        )

    def x(self, step: int) -> float:
        """Where a step stands."""
        share = (step - self.first) / (self.last - self.first) if self.last > self.first else 1
        return round(LEFT + (WIDTH - LEFT - 3) * share, 1)

    def y(self, value: float) -> float:
        """Where a value stands."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 1
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)


def _axes(frame: _Frame) -> str:
    low, high = frame.low, frame.high
    bottom = HEIGHT - BOTTOM
    marks = [(TOP, high)] if low == high else [(TOP, high), (bottom, low)]
    lines = "".join(f'<path class="grid" d="M{LEFT} {y}H{WIDTH}"/>' for y, _ in marks)
    labels = "".join(
        f'<text x="{LEFT - 4}" y="{y + 4}" text-anchor="end">{text(words.number(value))}</text>'
        for y, value in marks
    )
    several = frame.last > frame.first
    ends = f'<text x="{LEFT}" y="{HEIGHT - 2}">{frame.first:,}</text>' if several else ""
    ends += f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">{frame.last:,}</text>'
    return lines + labels + ends


def _drawing(buckets: Sequence[Bucket], frame: _Frame) -> str:
    upper = [f"{frame.x(bucket.step)},{frame.y(bucket.high)}" for bucket in buckets]
    lower = [f"{frame.x(bucket.step)},{frame.y(bucket.low)}" for bucket in reversed(buckets)]
    return f'<polygon points="{" ".join(upper + lower)}"/>{_line(buckets, frame)}'


def _line(buckets: Sequence[Bucket], frame: _Frame, kind: str = "") -> str:
    points = " ".join(f"{frame.x(bucket.step)},{frame.y(bucket.mean)}" for bucket in buckets)
    last, of_kind = buckets[-1], f' class="{kind}"' if kind else ""
    end = f'<circle{of_kind} cx="{frame.x(last.step)}" cy="{frame.y(last.mean)}" r="2.5"/>'
    return f'<polyline{of_kind} points="{points}"/>{end}'


def _legend(others: Sequence[Named]) -> str:
    """Which line is which run, with its latest value."""
    lines = "".join(
        f'<div><svg width="28" height="8" role="presentation"><polyline class="beside-{at}"'
        f' points="0,4 28,4"/></svg> {short(run, 24)} <b>{text(words.number(curve.last))}</b></div>'
        for at, (run, curve) in enumerate(others)
    )
    return f'<div class="t-legend">{lines}</div>' if lines else ""
