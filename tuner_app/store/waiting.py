"""Waiting for a lock on the database that somebody else holds: how, how long, and who wants to know."""

import random
import time
from collections.abc import Callable

BUSY_SECONDS = 5.0
LONG_SECONDS = 1.0  # after which a person wonders
ASKED_SECONDS = 0.5  # SQLite asks every few milliseconds, on a machine that has time


class Waiting:
    """How the connections of a store wait.

    `on_long` is called once for each wait that has taken `LONG_SECONDS`, by the thread that waits. `in_vain`
    says whether the latest wait was given up.
    """

    def __init__(self, on_long: Callable[[], None] = lambda: None) -> None:
        self.on_long = on_long
        self.in_vain = False
        self._asked = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether anybody waits, or did half a second ago."""
        return time.monotonic() - self._asked < ASKED_SECONDS

    def patience(self) -> Callable[[int], bool]:
        """What SQLite asks, with the number of times it has asked before, when a lock is taken: wait on?

        SQLite's own timeout soon sleeps for 100 ms at a time, and so can miss, for seconds on end, the
        milliseconds between the transactions of a busy writer.
        """
        began, told = 0.0, False

        def wait(asked: int) -> bool:
            nonlocal began, told
            if asked == 0:
                began, told = time.monotonic(), False
            time.sleep(random.uniform(0.0005, 0.004))
            self._asked = time.monotonic()
            waited = self._asked - began
            self.in_vain = waited >= BUSY_SECONDS
            if waited >= LONG_SECONDS and not told:
                told = True
                self.on_long()
            return not self.in_vain

        return wait
