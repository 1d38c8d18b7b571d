"""How long `tuner` takes from its start to a screen that can be typed on, through a real terminal (a pty).

    python tests/bench/first_paint.py [--times 5] [--home DIR]

Prints wall and processor seconds of each start, in milliseconds, and their medians. Without `--home` each
start makes a home of its own, database included; with it the same home is opened again and again.
"""

import argparse
import fcntl
import os
import pty
import select
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from tuner_app.paths import Home
from tuner_app.workers import supervisor

PAINTED = b"help"  # the last word of the footer, hence of the first whole frame
QUIT = b"\x11"  # Ctrl+Q


def start(home: str) -> tuple[float, float]:
    """Wall and processor milliseconds until the first whole frame."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color")
        os.execv(Path(sys.executable).with_name("tuner"), ["tuner", "--home", home])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    while PAINTED not in seen:
        if not select.select([terminal], [], [], 30)[0]:
            sys.exit(f"nothing was painted: {seen!r}")
        seen += os.read(terminal, 65536)
    wall = time.perf_counter() - began
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    _quit(pid, terminal)
    supervisor.stop_chat(Home(Path(home)))  # or the next start would share the processors with its loading
    return wall * 1e3, used * 1e3


def _quit(pid: int, terminal: int) -> None:
    os.write(terminal, QUIT)
    while True:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:  # the other side has hung up
            break
    os.waitpid(pid, 0)


def main() -> None:
    """Start several times and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--home", help="a home to open; default: a new one each time")
    args = parser.parse_args()
    figures = []
    for _ in range(args.times):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(start(args.home or folder))
        print("wall {:.0f} ms, processor {:.0f} ms".format(*figures[-1]), flush=True)
    walls, used = zip(*figures, strict=True)
    print(f"median: wall {statistics.median(walls):.0f} ms, processor {statistics.median(used):.0f} ms")


if __name__ == "__main__":
    main()
