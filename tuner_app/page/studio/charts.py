"""A run's figures as SVG: a line over the steps, in the band between the lowest and highest values."""

from collections.abc import Sequence

from tuner_app import words
from tuner_app.curves import Bucket, Curve
from tuner_app.page.studio.markup import Safe, text
from tuner_app.run_facts import RunFacts

WIDTH, HEIGHT = 320, 120  # as tables.css has them: a viewBox does not pass Gradio's cleaning of HTML
LEFT, TOP, BOTTOM = 56, 8, 16  # room for the numbers
MOST = 9


def charts(facts: RunFacts) -> Safe:
    """The most telling figures of a run; nothing before its first step."""
    drawn = "".join(chart(name, facts.curves[name]) for name in facts.figures[:MOST])
    return Safe(f'<div class="t-charts">{drawn}</div>' if drawn else "")


def chart(name: str, curve: Curve) -> Safe:
    """One figure with its latest value; without a number there is nothing to draw, and it says so."""
    title = name.replace("_", " ")
    latest = words.number(curve.last)
    heading = f"<figcaption><span>{text(title)}</span> <b>{text(latest)}</b></figcaption>"
    if not curve.buckets:
        return Safe(f'<figure class="t-chart">{heading}</figure>')
    low, high = _span(curve.buckets)
    about = f"{title}: {latest}; {words.number(low)} – {words.number(high)}"
    return Safe(
        f'<figure class="t-chart">{heading}'
        f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{text(about)}">'
        f"{_axes(curve.buckets, low, high)}{_drawing(curve.buckets, low, high)}</svg></figure>"
    )


def _span(buckets: Sequence[Bucket]) -> tuple[float, float]:
    return min(bucket.low for bucket in buckets), max(bucket.high for bucket in buckets)


def _axes(buckets: Sequence[Bucket], low: float, high: float) -> str:
    bottom = HEIGHT - BOTTOM
    marks = [(TOP, high)] if low == high else [(TOP, high), (bottom, low)]
    lines = "".join(f'<path class="grid" d="M{LEFT} {y}H{WIDTH}"/>' for y, _ in marks)
    labels = "".join(
        f'<text x="{LEFT - 4}" y="{y + 4}" text-anchor="end">{text(words.number(value))}</text>'
        for y, value in marks
    )
    ends = f'<text x="{LEFT}" y="{HEIGHT - 2}">{buckets[0].step:,}</text>' if len(buckets) > 1 else ""
    ends += f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">{buckets[-1].step:,}</text>'
    return lines + labels + ends


def _drawing(buckets: Sequence[Bucket], low: float, high: float) -> str:
    first, last = buckets[0].step, buckets[-1].step

    def x(step: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 3) * ((step - first) / (last - first) if last > first else 1), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 1
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)

    line = " ".join(f"{x(bucket.step)},{y(bucket.mean)}" for bucket in buckets)
    upper = [f"{x(bucket.step)},{y(bucket.high)}" for bucket in buckets]
    lower = [f"{x(bucket.step)},{y(bucket.low)}" for bucket in reversed(buckets)]
    end = f'<circle cx="{x(last)}" cy="{y(buckets[-1].mean)}" r="2.5"/>'
    return f'<polygon points="{" ".join(upper + lower)}"/><polyline points="{line}"/>{end}'
