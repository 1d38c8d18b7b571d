"""The items of a batch that come next: read and set into lines before they are needed."""

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tuner_app.store.rows import Waiting
from tuner_app.tui.spread import Spread, lay_out

WINDOW = timedelta(minutes=5)  # over which the pace is taken


@dataclass
class Shown:
    """An item, the order of its replies on the screen, and its lines."""

    waiting: Waiting
    order: tuple[int, ...]
    spread: Spread

    @staticmethod
    def of(waiting: Waiting, width: int, *, differing: bool) -> "Shown":
        """With its replies in random order; after an undo as they were: now the other key is right."""
        order = list(waiting.shown or range(len(waiting.item.replies)))
        if not waiting.shown:
            random.SystemRandom().shuffle(order)
        return Shown(waiting, tuple(order), lay_out(waiting.item, order, width, differing=differing))


class Queue:
    """What is shown now and what comes after it; `after` is the position from which more is to be read."""

    def __init__(self) -> None:
        self.current: Shown | None = None
        self.after = -1
        self._next: deque[Shown] = deque()
        self._done: set[int] = set()

    def __len__(self) -> int:
        return len(self._next)

    def new(self, found: Iterable[Waiting]) -> list[Waiting]:
        """Those that are not here yet, and were not judged here while they were read."""
        here = {shown.waiting.position for shown in (*self._next, self.current) if shown}
        return [waiting for waiting in found if waiting.position not in here | self._done]

    def add(self, shown: Iterable[Shown]) -> None:
        """They come last."""
        self._next.extend(shown)

    def advance(self) -> Shown | None:
        """The next one, None where there is none, takes the place of the current one."""
        if self.current:
            self._done.add(self.current.waiting.position)
        self.current = self._next.popleft() if self._next else None
        return self.current

    def go_back(self, shown: Shown) -> None:
        """Another one takes the place of the current one, which comes after it."""
        if self.current:
            self._next.appendleft(self.current)
        self._done.discard(shown.waiting.position)
        self.current = shown


class Clock:
    """When labels were given today."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        self._given = [datetime.fromisoformat(time) for time in given]

    def __len__(self) -> int:
        return len(self._given)

    def tick(self) -> None:
        """A label was given."""
        self._given.append(datetime.now(UTC))

    def back(self) -> None:
        """The latest one was taken back."""
        if self._given:
            self._given.pop()

    def a_minute(self) -> float:
        """How many were given in a minute, over the last five; 0 where there are too few to tell."""
        now = datetime.now(UTC)
        recent = [time for time in self._given[-1000:] if now - time < WINDOW]
        minutes = (now - recent[0]).total_seconds() / 60 if len(recent) > 2 else 0.0
        return (len(recent) - 1) / minutes if minutes else 0.0


def midnight() -> str:
    """When this day began where the person is, as the store has times."""
    start = datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return start.astimezone(UTC).isoformat(timespec="microseconds")
