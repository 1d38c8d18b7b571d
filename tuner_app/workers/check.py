"""The checking worker: rehearses a run that is not started, and says on standard output what it found.

`python -m tuner_app.workers.check --home DIR` reads one line of JSON, what to check: {"spec", "kind",
"selection"}. It writes lines of JSON: {"event", "data"} while it works, and at last {"findings"} or
{"error"}; after a fault of ours neither, but a traceback on standard error. It ends when its standard input
does, so that it never outlives whoever asked.
"""

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from engine.errors import UserError
from engine.spec import Emit, Event, ReferenceCache, Spec
from tuner_app.paths import Home
from tuner_app.paths import home as home_at
from tuner_app.store import Selection, Store, snapshots
from tuner_app.store.reference import ReferenceFile
from tuner_app.workers.train import located


def main() -> int:
    """Check; returns 1 when it failed."""
    parser = argparse.ArgumentParser(prog="tuner_app.workers.check", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    home = home_at(parser.parse_args().home)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as output:
        os.dup2(2, 1)  # what libraries print goes to the log, not among the answers

        def say(**line: Any) -> None:
            output.write(json.dumps(line) + "\n")
            output.flush()

        asked = json.loads(sys.stdin.readline())
        threading.Thread(target=_end_with_stdin, daemon=True).start()
        try:
            say(findings=work(home, asked, lambda event: say(event=event.kind, data=event.data)))
        except UserError as error:
            say(error={"what": error.what, "kept": error.kept, "do": error.do})
            return 1
    return 0


def work(home: Home, asked: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """What the engine finds for the specification and selection that are asked about."""
    spec = located(home, Spec.from_json(asked["spec"]))
    with closing(Store.open(home.database)) as store:
        rows = list(snapshots.select(store, asked["kind"], Selection(**asked["selection"])))
    emit(Event("loading", {"what": spec.base}))
    from engine.check import check

    with _known(home) as cache:
        return check(spec, rows, emit=emit, reference_cache=cache).to_json()


@contextmanager
def _known(home: Home) -> Iterator[ReferenceCache | None]:
    """The reference log-probs of earlier runs, None before there are any: looking must not make the file."""
    if not home.reference_cache.exists():
        yield None
        return
    with closing(ReferenceFile(home.reference_cache)) as cache:
        yield cache


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
