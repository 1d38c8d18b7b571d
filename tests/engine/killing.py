"""Runs in processes of their own that kill themselves, with SIGKILL, at a chosen moment.

They are forked from a server that has imported the engine, so that a hundred kills do not cost a hundred
imports.
"""

import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import small_run

from engine import adapters, checkpoints

# What changes a file, as Python tells an audit hook: a kill before each is a kill between every two.
FILE_OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}
IMPORTED = re.compile(r"__pycache__|\.(py|so)$")  # a module that happens to be imported is no file of ours


@dataclass(frozen=True)
class Kill:
    """A moment: after a process's `number`-th step, or before the `number`-th file operation of its saving.

    Numbers start at 0. A process that comes to its end first is not killed.
    """

    when: Literal["step", "saving"]
    number: int


def start_server() -> None:
    """Let children be forked from a process that has imported what they need."""
    here = Path(__file__).parent
    paths = [str(here.parents[1]), str(here.parent), str(here), os.environ.get("PYTHONPATH", "")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["killing", "transformers.models.llama.modeling_llama", "engine.loop"])
        child(nothing)


def nothing() -> None:
    """Nothing: the first child starts the server."""


def child(function: Callable[..., None], *arguments: Any) -> int:
    """Call `function` in a forked process; its exit code, negative for a signal."""
    process = multiprocessing.get_context("forkserver").Process(target=function, args=arguments)
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def train(folder: Path, model: Path, method: str, spec: dict[str, Any], kill: Kill | None) -> None:
    """Carry out, or go on with, the small run in `folder`; to be called in a child."""
    steps = 0

    def emit(event: Any) -> None:
        nonlocal steps
        steps += event.kind == "step"
        if kill and kill.when == "step" and event.kind == "step" and steps > kill.number:
            os.kill(os.getpid(), signal.SIGKILL)

    if kill and kill.when == "saving":
        kill_while_saving(kill.number)
    small_run.run(folder, model, method, reports=emit, **spec)  # type: ignore[arg-type]


def kill_while_saving(number: int) -> None:
    """From now on count the file operations of saving, and kill this process before the `number`-th."""
    saving, done = False, 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if saving and event in FILE_OPERATIONS and not IMPORTED.search(str(arguments[0])):
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1

    def watched(save: Callable[..., Any]) -> Callable[..., Any]:
        def saved(*arguments: Any) -> Any:
            nonlocal saving
            saving = True
            try:
                return save(*arguments)
            finally:
                saving = False

        return saved

    checkpoints.save = watched(checkpoints.save)
    adapters.save = watched(adapters.save)
    sys.addaudithook(count)
