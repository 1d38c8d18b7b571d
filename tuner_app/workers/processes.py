"""Workers as processes: started with a lock in their hands, ended with all that they started. No torch."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from engine.errors import UserError
from tuner_app.workers import locks

POLL = 0.05
KILL_PATIENCE = 5.0  # seconds between SIGTERM and SIGKILL, and after SIGKILL
ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}

_children: set[int] = set()  # ours to wait for once they ended, or they would stay as zombies


def spawn(module: str, arguments: list[str], lock: IO[bytes], log: Path, mode: str) -> int:
    """Start a worker that holds `lock` and writes to `log`, opened in this mode; its process id.

    Raises UserError when the system cannot.
    """
    collect()
    command = [sys.executable, "-P", "-m", module, "--lock-fd", str(lock.fileno()), *arguments]
    with lock:
        try:
            with log.open(mode) as output:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[lock.fileno()],
                    env=os.environ | ENVIRONMENT,
                )
        except OSError as error:
            raise UserError(
                f"The worker cannot be started: {error.strerror} ({log}).",
                kept="Nothing was changed.",
                do="Free some space or memory, then try again.",
            ) from error
        locks.sign(lock, child.pid)  # so that it can be ended even before it comes to sign by itself
    child.returncode = 0  # or Popen complains that the child outlives it, as it should
    _children.add(child.pid)
    return child.pid


def collect() -> None:
    """Take note of those of our workers that have ended."""
    for pid in list(_children):
        try:
            ended, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            ended = pid
        if ended:
            _children.discard(pid)


def end(lock: Path) -> None:
    """SIGTERM, then SIGKILL, to whoever holds `lock`, and to the rest of its process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + KILL_PATIENCE
        signalled = False
        while (pid := locks.owner(lock)) is not None and time.monotonic() < deadline:
            if pid and not signalled:
                _signal(pid, number)
                signalled = True
            time.sleep(POLL)
    collect()


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:  # somebody's foreground process: its group is a terminal's
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_until_free(lock: Path, timeout: float) -> bool:
    """Wait until nobody holds `lock`; whether that came about in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while locks.owner(lock) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
