"""Which test presses which key: `keys_tried.txt`, which `KEYS=new pytest tests/tui -m ''` brings up to date.

A line is a class, a key of its own bindings, and a test in which this key did what it is there for. Keys that
are pressed in a real terminal alone, which is another process, are written there by hand.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode

FILE = Path(__file__).with_suffix(".txt")
NEW = os.environ.get("KEYS") == "new"


def own_keys(kind: type[DOMNode]) -> dict[str, set[str]]:
    """The keys of a class's own bindings, and what each may do."""
    found: dict[str, set[str]] = {}
    for binding in Binding.make_bindings(vars(kind).get("BINDINGS", ())):
        found.setdefault(binding.key, set()).add(binding.action)
    return found


def read() -> dict[tuple[str, str], str]:
    """The test of each class's key."""
    lines = FILE.read_text(encoding="utf-8").splitlines() if FILE.exists() else []
    rows = (line.split() for line in lines)
    return {(kind, key): test for kind, key, test in rows}


def write(tried: dict[tuple[str, str], str]) -> None:
    """Keep the table."""
    FILE.write_text("".join(f"{kind} {key} {tried[kind, key]}\n" for kind, key in sorted(tried)))


def recorded(monkeypatch: pytest.MonkeyPatch, test: str) -> Iterator[None]:
    """Note the keys that do something while the block runs, where no test is known of them yet."""
    seen: set[tuple[str, str]] = set()
    pressed = ""
    check, act = App._check_bindings, App.run_action

    async def check_bindings(app: App[Any], key: str, priority: bool = False) -> bool:
        nonlocal pressed
        pressed = key
        try:
            return await check(app, key, priority)
        finally:
            pressed = ""

    async def run_action(app: App[Any], action: Any, namespace: Any = None, **more: Any) -> bool:
        key = pressed
        done = await act(app, action, namespace, **more)
        if done and key:
            seen.update((one.__name__, key) for one in type(namespace).__mro__ if _has(one, key, action))
        return done

    monkeypatch.setattr(App, "_check_bindings", check_bindings)
    monkeypatch.setattr(App, "run_action", run_action)
    yield
    with FILE.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # tests run two at a time
        write(dict.fromkeys(seen, test) | read())


def _has(kind: type, key: str, action: Any) -> bool:
    return kind.__module__.startswith("tuner_app.") and action in own_keys(kind).get(key, ())
