"""Times and durations in words."""

from datetime import UTC, datetime


def ago(stamp: str | None) -> str:
    """How long ago a UTC ISO 8601 time was."""
    if not stamp:
        return "never"
    moment = datetime.fromisoformat(stamp)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        count = int(seconds // size)
        if count:
            return f"{count} {unit} ago"
    return "just now"


def lasting(seconds: float) -> str:
    """A duration: “42 s”, “3 min 05 s”, “2 h 10 min”."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
