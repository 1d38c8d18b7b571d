"""A check before a run, in a process of its own: started, listened to, ended. No torch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from engine.errors import UserError
from engine.findings import Findings
from tuner_app import launch
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.workers.supervisor import ENVIRONMENT

OnEvent = Callable[[str, Mapping[str, Any]], None]


class Checking:
    """A check under way. `findings` waits for its end; `stop`, from any thread, ends it."""

    def __init__(self, store: Store, home: Home, plan: launch.Plan) -> None:
        """Start it. Raises UserError at once for what can be told without loading the model."""
        found = launch.check(store, home, plan)
        spec = launch.specification(home, plan, found)
        asked = {
            "spec": spec.to_json(),
            "kind": found.method.kind,
            "selection": vars(plan.selection),
        }
        home.workers.mkdir(parents=True, exist_ok=True)
        self._log = home.workers / "check.log"
        self._stopped = False
        command = [sys.executable, "-P", "-m", "tuner_app.workers.check", "--home", str(home.folder)]
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
                f"The check cannot be started: {error.strerror}.",
                kept="Nothing was changed.",
                do="Free some space or memory, then try again.",
            ) from error
        assert self._process.stdin
        with suppress(BrokenPipeError):  # it died: `findings` says so
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()  # and left open: when we die, however that is, it ends

    def findings(self, on_event: OnEvent = lambda kind, data: None) -> Findings:
        """What was found. `on_event` gets the engine's events; raises UserError when the check failed."""
        assert self._process.stdout
        try:
            for line in self._process.stdout:
                said = json.loads(line)
                if "findings" in said:
                    return Findings.from_json(said["findings"])
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
            return UserError("The check was stopped.", kept="Nothing was started.")
        if self._process.wait() == -signal.SIGKILL:
            return UserError(
                "The check was killed: most likely the machine's memory ran out.",
                kept="Nothing was started.",
                do="What would help: precision nf4; a lower max_length or micro_tokens; a smaller base; "
                "or ending the chat worker, which holds a model too.",
            )
        return UserError(
            "The check ended with an unexpected fault.",
            kept="Nothing was started.",
            do=f"Its details: {self._log}",
        )
