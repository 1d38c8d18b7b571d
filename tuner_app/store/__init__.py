"""The store: one SQLite file, the source of truth of a home."""

from tuner_app.store import batches, chats, examples, labels, models, people, reference, runs, snapshots
from tuner_app.store.database import Store
from tuner_app.store.selection import Selection
from tuner_app.store.stamps import new_uid

__all__ = [
    "Selection",
    "Store",
    "batches",
    "chats",
    "examples",
    "labels",
    "models",
    "new_uid",
    "people",
    "reference",
    "runs",
    "snapshots",
]
