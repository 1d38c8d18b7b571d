"""A figure of a run over its steps, in bounded memory, and smoothed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import isfinite

MOST = 256  # buckets of a curve: half of them are as many as a chart of 64 columns has dots across


@dataclass
class Bucket:
    """Neighbouring points: where the last of them is, by step and by seconds of training; what they span."""

    step: int
    seconds: float
    low: float
    high: float
    total: float
    count: int = 1

    @property
    def mean(self) -> float:
        """Of the points' values."""
        return self.total / self.count

    def take(self, other: "Bucket") -> None:
        """Swallow the bucket that follows."""
        self.step, self.seconds = other.step, other.seconds
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.total += other.total
        self.count += other.count


@dataclass
class Curve:
    """Points in the order of their steps. No peak is ever lost: a bucket keeps its lowest and highest."""

    buckets: list[Bucket] = field(default_factory=list)
    last: float = float("nan")
    _wide: int = 1  # points to a bucket

    def add(self, step: int, seconds: float, value: float) -> None:
        """A point later than all others; one that is no number leaves a gap."""
        self.last = value
        if not isfinite(value):
            return
        point = Bucket(step, seconds, value, value, value)
        if self.buckets and self.buckets[-1].count < self._wide:
            self.buckets[-1].take(point)
            return
        if len(self.buckets) == MOST:
            self._merge()
        self.buckets.append(point)

    def _merge(self) -> None:
        for first, second in zip(self.buckets[::2], self.buckets[1::2], strict=True):
            first.take(second)
        del self.buckets[1::2]
        self._wide *= 2


def smoothed(buckets: Sequence[Bucket], points: int) -> list[float]:
    """For each bucket the mean of about so many points around it, fewer where the curve ends."""
    side = max(1, points // 2 // max(bucket.count for bucket in buckets)) if buckets else 0
    sums = [(0.0, 0), *accumulate(((b.total, b.count) for b in buckets), _added)]
    means = []
    for here in range(len(buckets)):
        first, last = sums[max(0, here - side)], sums[min(here + side + 1, len(buckets))]
        means.append((last[0] - first[0]) / (last[1] - first[1]))
    return means


def _added(one: tuple[float, int], other: tuple[float, int]) -> tuple[float, int]:
    return one[0] + other[0], one[1] + other[1]
