"""The whole loop in a real terminal, from an empty folder: the built-in base and real workers."""

import os
import signal
from pathlib import Path

import pytest
from terminal import Terminal

from engine.examples import Demonstration, Example, Message, Pair, Rated
from tuner_app.paths import Home, builtin_base
from tuner_app.store import Store, examples, models, runs, snapshots
from tuner_app.workers import supervisor

GOOD, BAD, CORRECTED = "What does a cow say?", "What does a dog say?", "What does a cat say?"
AT_LAST = "What does a sheep say?"
LOADING, ANSWERING, TRAINING = 120, 60, 240  # seconds of patience with a busy machine

needs_base = pytest.mark.skipif(
    not (builtin_base() / "model.safetensors").exists(), reason="the built-in base has not been made"
)


class Typist(Terminal):
    """Looks at the screen before each key: what the next one needs is there."""

    store: Store

    def answers(self) -> list[dict[str, str]]:
        """What models and the person's corrections answered, as it is stored."""
        rows = self.store.query(
            "SELECT content, model, adapter FROM messages WHERE role = 'assistant' ORDER BY id"
        )
        return [dict(row) for row in rows]

    def reads(self, *sentences: str) -> None:
        """Wait for sentences, wherever their lines end: that labels contradict each other comes between."""
        self.until(lambda: all(text in " ".join(self.shown.split()) for text in sentences), f"{sentences}")

    def asks(self, question: str) -> str:
        """In a new conversation, send a question, wait until its answer is kept, and go to it."""
        before = len(self.answers())
        self.press("ctrl+n")
        self.sees("A new conversation", "⏎ send")
        self.press(question)
        self.sees(question)
        self.press("enter")
        self.until(lambda: len(self.answers()) > before, "the answer to be kept", LOADING)
        self.until(lambda: "esc stop" not in self.shown, "the answer to take its place")
        self.press("tab")
        self.sees("a good", "e correct")
        return self.answers()[-1]["content"]


@needs_base
@pytest.mark.slow
@pytest.mark.timeout(600)  # on a busy machine; alone it takes a minute
def test_chat_judge_train_watch_and_chat_with_the_result(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    try:
        with Typist(home, (80, 40)) as person:
            person.sees("1 of 5", timeout=LOADING)
            person.press("escape")
            person.sees("A new conversation", "builtin ● ready", timeout=LOADING)
            person.store = Store.open(home.database)
            fed = judge(person, home)
            train(person)
            person.press("c")
            person.sees("dpo-1 on builtin ● ready", timeout=LOADING)
            person.asks(AT_LAST)
            person.quit()
        assert b"Traceback" not in person.sent
        assert b"\x1b[?1049l" in person.sent[-400:]  # the screen of before is given back
        assert not (home.folder / "fault.log").exists()
        assert person.answers()[-1]["adapter"] == "dpo-1"
        check(person.store, fed)
        person.store.close()
    finally:
        supervisor.stop_chat(home)


def judge(person: Typist, home: Home) -> set[Example]:
    """A thumb up, one down, a correction, and a choice against that; what each has fed."""
    good = person.asks(GOOD)
    person.press("a")
    person.sees("Saved: ▲ good. Fed 1 thumb.")
    worker = supervisor.chat_endpoint(home)
    assert worker
    os.kill(worker.pid, signal.SIGKILL)  # as a system without memory would
    bad = person.asks(BAD)
    person.press("x")
    person.sees("Saved: ▼ bad. Fed 1 thumb.")
    poor = person.asks(CORRECTED)
    person.press("e")
    person.sees("no changes yet", "^s save")
    person.press("ctrl+home", "Truly. ")
    person.sees("Truly.")
    person.press("ctrl+s")
    person.sees("Saved: ✎ corrected. Fed 1 SFT row, 1 pair, 2 thumbs.")
    person.press("s")
    person.sees("Which is better?", "━  1  ━", "─  2  ─", "Truly.", timeout=ANSWERING)
    first, _, _ = person.shown.partition("Which is better?")[2].partition("─  2  ─")
    person.press("2" if "Truly." in first else "1")
    person.sees("Saved. Fed 1 pair, 2 thumbs.", "★ chosen", "your correction · not chosen")
    better, second = (answer["content"] for answer in person.answers()[-2:])
    assert better == f"Truly. {poor}"
    asked = (Message("user", CORRECTED),)
    return {
        Rated((Message("user", GOOD),), good, good=True),
        Rated((Message("user", BAD),), bad, good=False),
        Demonstration((*asked, Message("assistant", better))),
        Pair(asked, better, poor),
        Rated(asked, better, good=True),
        Rated(asked, poor, good=False),
        Pair(asked, second, better),
        Rated(asked, second, good=True),
        Rated(asked, better, good=False),
    }


def train(person: Typist) -> None:
    """Train DPO for three steps, and follow the run to its end."""
    person.press("ctrl+t")
    person.sees("1 demonstration: 1 from labels", "base builtin")
    person.press("enter")
    person.sees("kto", "ppo", "reward")
    person.press("home", "enter")
    person.reads("2 pairs: 2 from labels", "10 steps.")
    person.press(*["tab"] * 9, "end", "backspace", "backspace", "3")
    person.reads("2 pairs: 2 from labels", " 3 steps.")
    person.press("ctrl+s")
    person.sees("check dpo", "The run, at that speed", timeout=TRAINING)
    person.press("ctrl+s")
    person.sees("run dpo-1", "▶ dpo-1")
    person.sees("✓ done", "step 3 of 3", "✓ dpo-1 is done: c chats with it.", timeout=TRAINING)


def check(store: Store, fed: set[Example]) -> None:
    """What the terminal showed is what is stored."""
    listed = {row.example for kind in examples.count(store) for row in examples.listed(store, kind)}
    assert listed == fed
    (run,) = runs.listed(store)
    assert (run.name, run.status, run.error) == ("dpo-1", "done", "")
    assert runs.last_step(store, run.id)["step"] == 3
    pairs = {example for example in fed if isinstance(example, Pair)}
    assert set(snapshots.rows(store, run.snapshot_hash)) == pairs
    (adapter,) = models.adapters(store)
    assert (adapter.name, adapter.run_id) == ("dpo-1", run.id)
