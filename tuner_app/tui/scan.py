"""Looking through a table in a thread of its own, so that no key and no label waits for it."""

import threading
from collections.abc import Callable

from engine.errors import UserError
from tuner_app.store import Store, sqlite, table
from tuner_app.store.table import Filter, Found

Report = Callable[["Scan", "Found | UserError | None"], object]


class Scan(threading.Thread):
    """Finds the rows of a filter, with a connection of its own; `report` gets them piece by piece, in this
    thread: None at the end, or why it ended early. Nothing is reported once it was cancelled."""

    def __init__(self, store: Store, wanted: Filter, *, oldest: bool, report: Report) -> None:
        super().__init__(name="scan", daemon=True)
        self._store = store
        self._wanted = wanted
        self._oldest = oldest
        self._report = report
        self._cancelled = False
        self._connection: sqlite.Connection | None = None

    def cancel(self) -> None:
        """End at once, in the middle of a query too."""
        self._cancelled = True
        if self._connection and self.is_alive():
            self._connection.interrupt()

    def run(self) -> None:
        end: UserError | None = None
        try:
            self._connection = self._store.db
            for found in table.find(self._store, self._wanted, oldest=self._oldest):
                if self._cancelled:
                    return
                self._report(self, found)
        except UserError as error:
            end = error
        except sqlite.OperationalError:
            if not self._cancelled:
                raise
        if not self._cancelled:
            self._report(self, end)
