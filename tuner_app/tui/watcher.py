"""Watches the database for what runs write, whichever process they belong to."""

import threading
from typing import TYPE_CHECKING

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import RunEvent
from tuner_app.tui.messages import StoreChanged, WatchFailed

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

POLL_SECONDS = 0.25
REAP_SECONDS = 3.0


class Watcher(threading.Thread):
    """Tells the screens of new run events, about four times a second and only when something changed."""

    def __init__(self, app: "TunerApp", home: Home, store: Store) -> None:
        super().__init__(name="watcher", daemon=True)
        self._app = app
        self._home = home
        self._store = store
        self._ended = threading.Event()
        self._last = 0

    def stop(self) -> None:
        """End, once the look under way is over."""
        self._ended.set()
        if self.is_alive():
            self.join(timeout=POLL_SECONDS)

    def run(self) -> None:
        from tuner_app.workers import supervisor  # brings httpx: after the first paint

        version, waited, failing = -1, REAP_SECONDS, False
        while not self._ended.wait(POLL_SECONDS if version >= 0 else 0):
            try:
                waited += POLL_SECONDS
                if waited >= REAP_SECONDS:
                    supervisor.reap(self._home, self._store)
                    waited = 0.0
                now = self._store.data_version()
                if now != version:
                    self._look(first=version < 0)
                    version = now
                failing = False
            except UserError as error:
                version = max(version, 0)
                if not failing:
                    self._app.post_message(WatchFailed(str(error)))
                failing = True

    def _look(self, *, first: bool) -> None:
        events: list[RunEvent] = []
        if first:
            self._last = runs.last_event(self._store)
        while more := runs.events(self._store, after=self._last):
            self._last = more[-1].id
            events += more
        self._app.post_message(StoreChanged(events))
