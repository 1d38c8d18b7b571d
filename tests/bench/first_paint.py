"""How long `tuner` takes from its start to a screen that can be typed on, through a real terminal (a pty).

    python -m tests.bench.first_paint [--times 5] [--home DIR] [--cold]

Prints JSON: wall and processor milliseconds of each start, their medians, and resident memory in MB. Without
`--home` each start makes a home of its own, database included; with it the same home is opened again and
again. With `--cold` what is read from the disk is not in memory: Python, the packages and the home.
"""

import argparse
import json
import os
import statistics
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.terminal import Terminal
from tuner_app.paths import Home
from tuner_app.workers import supervisor

PAINTED = "help|leave"  # the last words of the first whole frame, or of the tour on a first start


def start(home: Home) -> dict[str, float]:
    """Wall and processor milliseconds until the first whole frame, and MB then."""
    with Terminal(home, PYTHONDONTWRITEBYTECODE="") as terminal:
        wall = terminal.drawn(PAINTED)
        figures = {"wall_ms": wall, "processor_ms": terminal.processor(), "resident_mb": terminal.memory()}
        terminal.quit()
    supervisor.stop_chat(home)  # or the next start would share the processors with its loading
    return {name: round(figure, 1) for name, figure in figures.items()}


def forget(home: Home) -> None:
    """Have the system drop what it keeps in memory of the files that a start reads."""
    packages = sysconfig.get_paths()
    for file in _files(packages["stdlib"], packages["purelib"], sys.path[0], str(home.folder)):
        with suppress(OSError):
            handle = os.open(file, os.O_RDONLY)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def _files(*folders: str) -> Iterator[str]:
    for top in folders:
        for folder, _, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names)


def main() -> None:
    """Start several times and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--home", type=Path, help="a home to open; default: a new one each time")
    parser.add_argument("--cold", action="store_true", help="with nothing of it in memory")
    args = parser.parse_args()
    starts = []
    for _ in range(args.times + 1):
        with tempfile.TemporaryDirectory() as folder:
            home = Home(args.home or Path(folder))
            if args.cold:
                forget(home)
            starts.append(start(home))
    del starts[0]  # it compiled what had changed
    medians = {name: statistics.median(one[name] for one in starts) for name in starts[0]}
    print(json.dumps({"cold": args.cold, "median": medians, "starts": starts}))


if __name__ == "__main__":
    main()
