"""The processes of a run beside its main one: started, watched, and gone when the main one is. No torch.

Beside the training worker on the first machine, and on every other machine of several, each is a
`python -m tuner_app.workers.helper`, in the process group of whoever started it. It is told what to train by
the main process, and ends when its standard input does.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import UserError
from tuner_app.machines import Machines

PATIENCE = 15.0  # seconds that a process may take to see for itself that another one died, or to end


class Helpers:
    """Helper processes of this machine; `first` is the lowest number on it that is one."""

    def __init__(self, machines: Machines, folder: Path, method: str, first: int) -> None:
        self._children = [
            (machines.rank * machines.processes + local, _start(machines, folder, method, local))
            for local in range(first, machines.processes)
        ]

    def wait(self) -> int:
        """Wait for all of them; the first exit code that is not 0, else 0."""
        return next((code for _, child in self._children if (code := child.wait())), 0)

    def end(self) -> None:
        """Let those that are left end, by force if need be."""
        for _, child in self._children:
            assert child.stdin
            child.stdin.close()
        for _, child in self._children:
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()

    def blame(self, patience: float = 0.0) -> str:
        """Which of them ended with a fault, in a sentence, waiting for one to end; "" for none."""
        deadline = time.monotonic() + patience
        while self._children:
            for number, child in self._children:
                if code := child.poll():
                    how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
                    return f"Process {number + 1} of the run {how}."
            if time.monotonic() >= deadline:
                break
            time.sleep(0.05)
        return ""


@contextmanager
def beside_main(
    machines: Machines, folder: Path, method: str, fail: Callable[[UserError], object]
) -> Iterator[None]:
    """The helpers of the main process, for as long as the context lasts.

    When one dies the main process gets a UserError that says so; should it hang, waiting for the dead one,
    `fail` is told instead and the main process ends.
    """
    meeting = folder / "meeting"
    meeting.unlink(missing_ok=True)  # of processes that were killed
    helpers = Helpers(machines, folder, method, first=1)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            if reason := helpers.blame():
                if not over.wait(PATIENCE):
                    fail(UserError(reason))
                    os._exit(1)
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except RuntimeError as error:  # the connection to another process broke, or something else is wrong
        if reason := helpers.blame(PATIENCE):
            raise UserError(reason, do="Its last words are in the run's log.") from error
        raise
    finally:
        over.set()
        helpers.end()
        meeting.unlink(missing_ok=True)


def serve(machines: Machines, method: str) -> int:
    """Be one of several machines, but not the first: help until the run ends; the exit status."""
    helpers = Helpers(machines, Path(), method, first=0)
    try:
        return helpers.wait()
    finally:
        helpers.end()


def _start(machines: Machines, folder: Path, method: str, local: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-m", "tuner_app.workers.helper"]
    command += ["--number", str(machines.rank * machines.processes + local), "--local", str(local)]
    command += ["--here", str(machines.processes), "--processes", str(machines.total)]
    command += ["--meeting", machines.meeting(folder), "--method", method]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE)
    except OSError as error:
        raise UserError(
            f"Process {local + 1} of {machines.processes} cannot be started: {error.strerror}.",
            kept="Nothing was trained.",
            do="Free some memory, or start fewer.",
        ) from error
