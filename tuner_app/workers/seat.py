"""The machine's seat, which one worker has at a time: runs train one after the other.

On a GPU chat needs it too: it makes way for training, and has it again when that is over. On a CPU chat
answers beside a run. A worker that is killed leaves its seat with its last breath, as with every lock.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import Request, Run
from tuner_app.workers import locks, queue, supervisor

POLL = 0.25


def for_chat(home: Home, store: Store) -> AbstractContextManager[object]:
    """A context that has the seat, if one is needed. Raises UserError when a run, which it names, has it."""
    if not chat_needs_it():
        return nullcontext()
    seat = locks.take(locks.seat(home), None)
    if seat is None:
        name = _holder(home, store)
        raise UserError(
            f"The GPU is busy: {name or 'another worker'} has it.",
            kept="It goes on; conversations and labels are in the database.",
            do=f"Pause it to chat, and resume it later: tuner runs pause {name}"
            if name
            else "Try again later.",
        )
    return seat


def for_training(
    home: Home,
    store: Store,
    run: Run,
    should_stop: Callable[[], Request],
    note: Callable[[dict[str, Any]], None],
) -> AbstractContextManager[object] | None:
    """A context that has the seat; None when `run` is asked to end while it waits.

    A chat worker that has it is ended; another run is waited for, and those before it in the order in which
    they were made. `note` tells a person of either, with the run that is waited for as `behind`.
    """
    waiting = ""
    while True:
        if locks.owner(locks.seat(home)) is not None and _chat_has_it(home):
            note({"message": "Chat leaves the GPU to this run: pause it to chat in between."})
            supervisor.stop_chat(home)
        before = queue.before(home, runs.listed(store), run)
        if not before and (seat := locks.take(locks.seat(home), None)):
            return seat
        if should_stop():
            return None
        name = before[-1] if before else _holder(home, store)
        if name and name != waiting:
            message = f"Queued behind {name}: it begins when that is over, or paused."
            note({"message": message, "behind": name})
            waiting = name
        time.sleep(POLL)


def chat_needs_it() -> bool:
    """Whether chat computes on a GPU, whose memory a run wants for itself."""
    import torch

    return torch.cuda.is_available()


def _chat_has_it(home: Home) -> bool:
    return locks.owner(locks.seat(home)) == locks.owner(locks.chat(home))


def _holder(home: Home, store: Store) -> str:
    """The name of the run that has the seat; "" when it is no run."""
    pid = locks.owner(locks.seat(home))
    return next((run.name for run in runs.listed(store) if pid and run.pid == pid), "")
