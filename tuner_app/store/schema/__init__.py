"""The tables, a file for each version. What is released is never edited: a version after it changes it."""

from tuner_app.store.schema.first import FIRST
from tuner_app.store.schema.fourth import FOURTH
from tuner_app.store.schema.second import SECOND
from tuner_app.store.schema.third import THIRD

__all__ = ["FIRST", "FOURTH", "SECOND", "THIRD"]
