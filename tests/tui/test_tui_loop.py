"""The whole loop by hand, on the built-in base and real workers."""

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
