"""The merging worker: writes a base with an adapter merged in, as a model of its own.

`python -m tuner_app.workers.merge --home DIR` is asked for {"base", "adapter", "target"}: the base's source
and two folders. It answers with the bytes written, in the way of `tuner_app.workers.errand`.
"""

import sys
from pathlib import Path
from typing import Any

from engine.spec import Emit, Event
from tuner_app import bases
from tuner_app.paths import Home
from tuner_app.workers import errand


def work(home: Home, asked: dict[str, Any], emit: Emit) -> int:
    """Merge, and say how many bytes that took."""
    emit(Event("loading", {"what": asked["base"]}))
    from engine.export import merge

    target = Path(asked["target"])
    merge(bases.located(asked["base"]), Path(asked["adapter"]), target)
    return sum(file.stat().st_size for file in target.iterdir())


if __name__ == "__main__":
    sys.exit(errand.run(work))
