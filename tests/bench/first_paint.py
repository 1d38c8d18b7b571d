"""How long `tuner` takes from its start to a screen that can be typed on, through a real terminal (a pty).

    python -m tests.bench.first_paint [--times 5] [--home DIR]

Prints JSON: wall and processor milliseconds of each start, their medians, and resident memory in MB; and the
same for cold starts, at which nothing of what is read is in memory: all that the system keeps of its disks
for root, else Python, the packages and the home. Without `--home` each start makes a home of its own,
database included; with it the same home is opened again and again.
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

DROP = Path("/proc/sys/vm/drop_caches")
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
    os.sync()
    with suppress(OSError):
        DROP.write_text("3")
        return
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


def starts(times: int, folder: Path | None, *, cold: bool) -> dict[str, object]:
    """So many starts and their medians."""
    each = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as new:
            home = Home(folder or Path(new))
            if cold:
                forget(home)
            each.append(start(home))
    return {
        "median": {name: statistics.median(one[name] for one in each) for name in each[0]},
        "starts": each,
    }


def main() -> None:
    """Start several times and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--home", type=Path, help="a home to open; default: a new one each time")
    args = parser.parse_args()
    starts(1, args.home, cold=False)  # it compiles what has changed
    print(json.dumps({what: starts(args.times, args.home, cold=what == "cold") for what in ("warm", "cold")}))


if __name__ == "__main__":
    main()
