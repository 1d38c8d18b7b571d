"""The checking worker: rehearses a run that is not started, and says what it found.

`python -m tuner_app.workers.check --home DIR` is asked for {"spec", "kind", "selection", "where"} and answers
with `engine.findings.Findings` as JSON, in the way of `tuner_app.workers.errand`. Where the run would have
several processes on this machine, as many rehearse it.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.errors import UserError
from engine.spec import Emit, Event, ReferenceCache, Spec
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.store import Selection, Store, picking
from tuner_app.store.reference import ReferenceFile
from tuner_app.workers import errand, helper, helpers
from tuner_app.workers.train import located


def work(home: Home, asked: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What the engine finds for the specification and selection that are asked about."""
    spec = located(home, Spec.from_json(asked["spec"]))
    with closing(Store.open(home.database)) as store:
        rows = list(picking.select(store, asked["kind"], Selection(**asked["selection"])))
    emit(Event("loading", {"what": spec.base}))
    where = Machines(**asked["where"])
    with (
        TemporaryDirectory() as folder,
        helpers.beside_main(where, Path(folder), spec.method, _to_log),
        _known(home) as cache,
    ):
        task = helper.Task(
            spec.to_json(), asked["spec"]["base"], rows, Path(folder), where.shard, rehearsal=True
        )
        helper.lead(where, Path(folder), task)
        from engine.check import check

        return check(spec, rows, emit=emit, reference_cache=cache, sharded=where.shard).to_json()


def _to_log(error: UserError) -> None:
    print(error, file=sys.stderr, flush=True)


@contextmanager
def _known(home: Home) -> Iterator[ReferenceCache | None]:
    """The reference log-probs of earlier runs, None before there are any: looking must not make the file."""
    if not home.reference_cache.exists():
        yield None
        return
    with closing(ReferenceFile(home.reference_cache)) as cache:
        yield cache


if __name__ == "__main__":
    sys.exit(errand.run(work))
