"""What takes torch and is not worth a run: asked of a worker in a process of its own, listened to, ended.

The worker gets one line of JSON, and answers as `tuner_app.workers.errand` says. No torch here.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.workers.processes import ENVIRONMENT

OnEvent = Callable[[str, Mapping[str, Any]], None]


class Errand:
    """One under way. `answer` waits for its end; `stop`, from any thread, ends it."""

    def __init__(self, home: Home, what: str, asked: Mapping[str, Any], *, memory: str) -> None:
        """Start `tuner_app.workers.{what}`; `memory` says what would help when there is none."""
        home.workers.mkdir(parents=True, exist_ok=True)
        self._what = what
        self._memory = memory
        self._log = home.workers / f"{what}.log"
        self._stopped = False
        command = [sys.executable, "-P", "-m", f"tuner_app.workers.{what}", "--home", str(home.folder)]
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # Ctrl+C is for us, and we end it
                    env=os.environ | ENVIRONMENT,
                )
        except OSError as error:
            raise UserError(
                f"The {what} cannot be started: {error.strerror}.",
                kept="Nothing was changed.",
                do="Free some space or memory, then try again.",
            ) from error
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it died: `answer` says so
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()  # and left open: when we die, however that is, it ends

    def answer(self, on_event: OnEvent = lambda kind, data: None) -> Any:
        """What came of it. `on_event` gets the engine's events; raises UserError when it failed."""
        assert self._process.stdout
        try:
            for line in self._process.stdout:
                said = json.loads(line)
                if "answer" in said:
                    return said["answer"]
                if "error" in said:
                    raise UserError(**said["error"])
                on_event(said["event"], said["data"])
            raise self._ended_early()
        finally:
            self.stop()

    def stop(self) -> None:
        """End it, and whatever it started; it holds nothing that would be lost."""
        self._stopped = True
        if self._process.poll() is None:
            with suppress(ProcessLookupError):  # another thread has waited for it since
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ended_early(self) -> UserError:
        """It died without a word: the kernel kills what takes more memory than there is."""
        if self._stopped:
            return UserError(f"The {self._what} was stopped.", kept="Nothing was started.")
        if self._process.wait() == -signal.SIGKILL:
            return UserError(
                f"The {self._what} was killed: most likely the machine's memory ran out.",
                kept="Nothing was started.",
                do=f"What would help: {self._memory}; or ending the chat worker, which holds a model too.",
            )
        return UserError(
            f"The {self._what} ended with an unexpected fault.",
            kept="Nothing was started.",
            do=f"Its details: {self._log}",
        )
