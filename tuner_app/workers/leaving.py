"""A run that is asked to end while it gets ready: its process leaves at once.

A large base takes minutes to load, inside libraries that cannot be interrupted. What a run has on disk is
whole at every moment, so nothing is lost by not waiting for them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.spec import ShouldStop
from tuner_app.store.run_rows import Request

POLL = 0.25


@contextmanager
def until_heeded(should_stop: ShouldStop, leave: Callable[[Request], None]) -> Iterator[ShouldStop]:
    """A `should_stop` for the engine, which ends by itself from the first time on that it asks.

    Until then, and while the context lasts, a thread asks in its place: `leave` is called there with what the
    run was asked to do, and is to end the process.
    """
    over, turn = threading.Event(), threading.Lock()

    def watch() -> None:
        while not over.wait(POLL):
            with turn:  # so that the engine begins nothing while the process ends
                if not over.is_set() and (asked := should_stop()):
                    leave(asked)
                    return

    def end() -> None:
        with turn:
            over.set()

    def heeding() -> Request:
        end()
        return should_stop()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield heeding
    finally:
        end()
