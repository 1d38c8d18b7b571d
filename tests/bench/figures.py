"""What the benches say of many times that something took."""

import statistics
from collections.abc import Sequence


def spread(took: Sequence[float]) -> dict[str, float]:
    """How often, and of the milliseconds the median, the 99th hundredth and the longest."""
    ordered = sorted(took)
    return {
        "times": len(ordered),
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
        "worst_ms": round(ordered[-1], 1),
    }
