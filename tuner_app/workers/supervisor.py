"""Starts, finds and ends workers. No torch.

A worker is alive as long as its lock is held. The lock is taken here, before the worker starts, and handed
down to it: there is no moment in which two could start, or in which a starting worker looks dead. Workers
are process groups of their own and outlive whoever started them.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.store import Store, runs
from tuner_app.store.run_rows import Request, Run, RunStatus
from tuner_app.workers import locks, processes

BUSY_POLL = 0.5
NO_WORD = "It has left no word: the disk may be full, or something has killed it."
LOG_LINES = 12
IDLE_CHAT = 1800  # seconds; a model is not to fill the memory for ever after the last interface was closed
EVERY = 10**9  # no limit


@dataclass(frozen=True)
class Endpoint:
    """Where the chat worker listens; `base` is what it serves, `source` its folder or hub name."""

    url: str
    key: str
    pid: int
    base: str
    source: str = ""


def chat_endpoint(home: Home) -> Endpoint | None:
    """The live chat worker of this home, whether it still loads or not; None if there is none."""
    pid = locks.owner(locks.chat(home))
    try:
        endpoint = Endpoint(**json.loads((home.workers / "chat.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return endpoint if endpoint.pid == pid else None  # else a dead worker left the file


def ensure_chat(
    home: Home, base: str, *, timeout: float = 120, on_line: Callable[[str], None] | None = None
) -> Endpoint:
    """The chat worker for `base`, ready to answer: the one that runs, or a new one in its place.

    A home has one, so that one base is in memory: that of another base is ended when nobody waits for it to
    load, and it has answered what it was asked. `on_line` gets what is waited for and the lines of the log.
    Raises UserError when the worker ends before it is ready, or is not ready after `timeout` seconds (it then
    goes on loading).
    """
    log, say = home.workers / "chat.log", on_line or _in_silence
    busy, calm, started, seen, deadline = "", True, False, 0, time.monotonic() + timeout
    with ExitStack() as waiting:  # for what we started
        while time.monotonic() < deadline:
            endpoint = chat_endpoint(home)
            if endpoint and not _serves(endpoint, base):
                waiting.close()
                awaited = _awaited(home, endpoint)
                busy = endpoint.base if awaited or not calm else ""
                if busy:
                    say(awaited or f"Waiting for {busy} …")
                    calm = not awaited  # at the next look: who waited for it to load is about to ask it
                    time.sleep(BUSY_POLL)
                else:
                    say(f"{base} takes the place of {endpoint.base}, in every window of this home.")
                    stop_chat(home)
                continue
            ready = endpoint and _health(endpoint).get("status") == "ready"
            if endpoint or started:  # else the log is of one that has gone
                seen = _pass_on(log, seen, say)
            if endpoint and ready:
                return endpoint
            if locks.owner(locks.chat(home)) is None:
                if started:
                    raise UserError(
                        f"The chat worker for {base} ended.\n{_tail(log) or NO_WORD}",
                        kept="Conversations and labels are in the database.",
                        do=f"Mend what it says, then try again. Its log: {log}",
                    )
                started = _start_chat(home, base, log)
                if started and (held := locks.hold(locks.starting(home))):
                    waiting.enter_context(held)
            time.sleep(processes.POLL)
    if busy:
        raise UserError(
            f"{busy} has been loading or answering in another window for {timeout:.0f} seconds, and a home "
            "has one base in memory.",
            kept="It goes on.",
            do="Stop that answer, or try again in a while.",
        )
    raise UserError(
        f"The chat worker for {base} is not ready after {timeout:.0f} seconds.\n{_tail(log)}",
        do="It goes on loading: try again in a while, or choose a smaller model.",
    )


def _awaited(home: Home, endpoint: Endpoint) -> str:
    """What somebody waits for who has asked the chat worker, or has started it to ask it; "" for nothing."""
    if locks.owner(locks.starting(home)) is not None:
        return f"Waiting for {endpoint.base} to load for another window …"
    return f"Waiting for an answer of {endpoint.base} to end …" if _health(endpoint).get("requests") else ""


def _in_silence(line: str) -> None:
    """An `on_line` for those who ask for none."""


def stop_chat(home: Home) -> None:
    """End the chat worker, if there is one, and its running answers with it."""
    processes.end(locks.chat(home))


def start_run(home: Home, store: Store, run: Run) -> int:
    """Start, or go on with, a run in a worker of its own; returns the worker's process id.

    Raises UserError when the run is going on already.
    """
    lock = locks.hold(locks.run(home, run.name))
    if lock is None:
        raise UserError(f"Run {run.name} is going on already.", do="Follow it: tuner runs show " + run.name)
    runs.request(store, run.id, "")
    runs.set_status(store, run.id, "running")
    log = home.run(run.name) / "log.txt"
    return processes.spawn("tuner_app.workers.train", ["--home", str(home.folder), run.name], lock, log, "ab")


def stop_run(home: Home, store: Store, run: Run, *, request: Request = "stop", grace: float = 20.0) -> None:
    """Ask a run to stop or pause and wait for it; after `grace` seconds end its process group.

    A run that had to be killed goes on from its last checkpoint when it is resumed.
    """
    runs.request(store, run.id, request)
    lock = locks.run(home, run.name)
    if not processes.wait_until_free(lock, grace):
        processes.end(lock)
    with store.write():
        if _status(store, run) == "queued":
            runs.set_status(store, run.id, "paused" if request == "pause" else "stopped")
    reap(home, store)


def reap(home: Home, store: Store) -> list[Run]:
    """Mark the runs whose worker died without a word, and say what is left of them; returns those runs."""
    processes.collect()
    dead = []
    for run in runs.listed(store):
        if run.status != "running" or locks.owner(locks.run(home, run.name)) is not None:
            continue
        with store.write():
            if _status(store, run) != "running":  # it ended by itself since we looked
                continue
            asked: dict[str, RunStatus] = {"stop": "stopped", "pause": "paused"}
            runs.set_status(store, run.id, asked.get(run.request, "failed"), error=_obituary(store, run))
        found = runs.get(store, run.name)
        assert found is not None
        dead.append(found)
    return dead


def _status(store: Store, run: Run) -> str:
    found = runs.get(store, run.name)
    return found.status if found else ""


def _obituary(store: Store, run: Run) -> str:
    events = runs.events(store, run.id, kinds=["step", "checkpoint"], limit=EVERY)
    steps = {event.kind: event.data["step"] for event in events}
    where = f"at step {steps['step']}" if "step" in steps else "before its first step"
    kept = f"The checkpoint of step {steps['checkpoint']} is kept. " if "checkpoint" in steps else ""
    return f"It was killed {where}. {kept}Go on with it: tuner runs resume {run.name}"


def _serves(endpoint: Endpoint, base: str) -> bool:
    folder = Path(base).expanduser()
    named = {base, str(folder.resolve())} if folder.is_dir() else {base}
    return bool(named & {endpoint.base, endpoint.source})


def _health(endpoint: Endpoint) -> dict[str, Any]:
    """What the chat worker says that it is doing; empty while it says nothing."""
    import httpx  # here, because the app's first picture does not wait for it

    headers = {"Authorization": f"Bearer {endpoint.key}"}
    try:
        # trust_env: a proxy is not to see what goes over the loopback
        answer = httpx.get(
            f"{endpoint.url}/health", headers=headers, timeout=5, trust_env=False, verify=False
        )
    except httpx.TransportError:
        return {}
    return dict(answer.json()) if answer.status_code == 200 else {}


def _start_chat(home: Home, base: str, log: Path) -> bool:
    """Start a chat worker unless somebody else is about to; whether we did."""
    lock = locks.hold(locks.chat(home))
    if lock is None:
        return False
    folder = Path(base).expanduser()
    base = str(folder.resolve()) if folder.is_dir() else base
    arguments = ["--home", str(home.folder), "--base", base, "--idle", str(IDLE_CHAT)]
    processes.spawn("tuner_app.workers.chat", arguments, lock, log, "wb")
    return True


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_LINES:])


def _pass_on(log: Path, seen: int, on_line: Callable[[str], None]) -> int:
    """Give `on_line` the log's whole lines from byte `seen` on; returns where the next one starts."""
    try:
        new = log.read_bytes()[seen:]
    except OSError:
        return seen
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        on_line(line)
    return seen + len(whole)
