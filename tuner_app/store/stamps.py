"""Times and identities of rows."""

import uuid
from datetime import UTC, datetime, timedelta


def now() -> str:
    """UTC, ISO 8601 with microseconds: text that sorts as time does."""
    return _text(datetime.now(UTC))


def after(earlier: str | None) -> str:
    """Now, or one microsecond after `earlier` where the clock stands behind it.

    So what one person does keeps its order when the clock is set back.
    """
    current = now()
    if earlier is None or earlier < current:
        return current
    return _text(datetime.fromisoformat(earlier) + timedelta(microseconds=1))


def later(**time: float) -> str:
    """The time that is so much from now: `hours=…`, `days=…`, as for `timedelta`."""
    return _text(datetime.now(UTC) + timedelta(**time))


def new_uid() -> str:
    """An identity that no other machine makes: 32 hex digits."""
    return uuid.uuid4().hex


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
