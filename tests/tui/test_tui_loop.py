"""The whole loop by hand, on the built-in base and real workers."""

import os
import pty
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from person import opened
from textual.widgets import Input

from tuner_app import settings
from tuner_app.paths import Home, builtin_base
from tuner_app.store import Store, chats, runs
from tuner_app.workers import supervisor

needs_base = pytest.mark.skipif(
    not (builtin_base() / "model.safetensors").exists(), reason="the built-in base has not been made"
)


@needs_base
@pytest.mark.slow
async def test_chat_correct_train_and_chat_with_the_result(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store = Store.open(home.database, migrate=True)
    settings.save(home, settings.Settings())  # not a first start: no tour
    try:
        async with opened(home, ready="builtin") as person:
            await person.until(lambda: person.app.link.state == "ready", timeout=120)
            for question in ("What does a cow say?", "What does a dog say?"):
                await person.paste(question)
                await person.press("enter")
                await person.until(lambda: not person.app.screen.query("Draft"), timeout=60)
                await person.press("tab", "e")
                await person.type(" Truly.")
                await person.press("ctrl+s")
                await person.sees("Fed 1 SFT row, 1 pair, 2 thumbs")
                await person.press("escape")
            await person.press("ctrl+t")
            await person.sees("2 demonstrations: 2 from labels")
            person.app.screen.query_one("#options-epochs", Input).value = "3"
            await person.press("ctrl+s")
            await person.until(lambda: "The run, at that speed" in person.screen(), timeout=120)
            await person.press("ctrl+s")
            await person.sees("run sft-1")
            await person.until(lambda: "✓ done" in person.screen(), timeout=200)
            await person.sees("step 3 of 3")
            await person.press("c")
            await person.sees("sft-1 on builtin")
            await person.paste("What does a cat say?")
            await person.press("enter")
            await person.until(lambda: not person.app.screen.query("Draft"), timeout=60)
        latest = chats.conversations(store)[0]
        answer = chats.path(store, latest.id)[-1]
        assert (answer.role, answer.adapter) == ("assistant", "sft-1")
        assert answer.content
        (run,) = runs.listed(store)
        assert run.status == "done"
    finally:
        supervisor.stop_chat(home)
        store.close()


@pytest.mark.slow
def test_it_opens_and_quits_in_a_real_terminal(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="80", LINES="24")
        code = "from tuner_app.cli import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, "--home", str(tmp_path)])
    seen, deadline = b"", time.monotonic() + 60
    try:
        while b"Type a prompt" not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 1)[0]:
                seen += os.read(terminal, 65536)
        assert b"Type a prompt" in seen
        os.write(terminal, b"\x11")  # Ctrl+Q
        while time.monotonic() < deadline and not os.waitpid(child, os.WNOHANG)[0]:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    seen += os.read(terminal, 65536)
                except OSError:  # the terminal has closed with the app
                    time.sleep(0.05)
        assert b"Traceback" not in seen
        assert b"\x1b[?1049l" in seen, "the screen is given back"
    finally:
        supervisor.stop_chat(Home(tmp_path))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
