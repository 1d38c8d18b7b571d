"""What is seen before a run starts, and that it can be left or cut short."""

import threading
from typing import Any

import pytest
from person import opened
from textual.widgets import Input

from engine.errors import UserError
from engine.examples import Message
from engine.findings import Findings, Part, Run, Step
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.store import Store, labels, runs
from tuner_app.store.rows import Reply
from tuner_app.store.run_rows import Run as RunRow
from tuner_app.tui.screens import check
from tuner_app.tui.widgets.form import Row
from tuner_app.workers import supervisor

FOUND = Findings(
    method="sft",
    data={
        "rows": 5,
        "used": 3,
        "too_long": 1,
        "no_label": 1,
        "no_end": 0,
        "repeated": 0,
        "contradictory": 0,
        "classes": {},
        "max_length": 1024,
        "trained_tokens": 99,
    },
    attention={"kernel": "flash", "layout": "padded"},
    plan={"trainable": 2000, "parameters": 3_000_000, "precision": "fp32", "device": "cpu"},
    template="",
    warnings=["Something [bold]odd[/bold]."],
    titles=[
        "row 1, 3 tokens",
        "row 2, 64 tokens, the longest",
        "a row that is left out: 2,000 tokens, and max_length is 1,024",
    ],
    rows=[
        [Part("conversation", [("[red]asked\x1b[2J", False), (" answered", True), ("<end>", True)])],
        [Part("conversation", [("much", False), (" more", True)])],
        [Part("conversation", [("far too", False), (" long", True)])],
    ],
    step=Step(rows=2, tokens=64, seconds=0.5, memory=10**8),
    run=Run(
        steps=12,
        tokens=640,
        seconds=5.0,
        reference_rows=0,
        reference_seconds=0.0,
        memory=10**9,
        available=8 * 10**9,
    ),
)


class Scripted:
    """A check that finds what it is told to, when it is told to."""

    made: list["Scripted"] = []  # noqa: RUF012
    outcome: Any = FOUND

    def __init__(self, store: Store, home: Home, plan: Any, where: Machines) -> None:
        self.plan, self.where = plan, where
        self.go_on = threading.Event()
        self.stopped = False
        self.made.append(self)

    def findings(self, on_event: Any) -> Findings:
        on_event("loading", {"what": "builtin"})
        assert self.go_on.wait(20)
        if self.stopped:
            raise UserError("The check was stopped.")
        if isinstance(self.outcome, UserError):
            raise self.outcome
        return self.outcome

    def stop(self) -> None:
        self.stopped = self.stopped or not self.go_on.is_set()
        self.go_on.set()


@pytest.fixture
def scripted(store: Store, monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    """A store with three corrections, and checks that are scripted."""
    for number in range(3):
        item = labels.item_for_single(store, [Message("user", f"{number}?")], Reply("Wrong.", "builtin"))
        labels.record(
            store, item.hash, "correct", value={"reply": 0, "text": f"Right {number}."}, uid=f"u{number}"
        )
    monkeypatch.setattr(Scripted, "made", [])
    monkeypatch.setattr(Scripted, "outcome", FOUND)
    monkeypatch.setattr(check, "Checking", Scripted)
    return Scripted


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[RunRow]:
    runs_started: list[RunRow] = []
    monkeypatch.setattr(supervisor, "start_run", lambda home, store, run: runs_started.append(run))
    return runs_started


async def test_a_form_that_is_refused_leads_to_the_field_that_is_wrong(
    home: Home, scripted: type[Scripted]
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        for id, value, said in (
            ("#data", "nothing", "is no selection"),
            ("#name", "a/b", "cannot be a run's name"),
        ):
            field = person.app.screen.query_one(id, Input)
            was, field.value = field.value, value
            await person.sees(said)
            person.app.screen.query_one("#seed").focus()
            await person.press("ctrl+s")
            await person.until(lambda field=field: field.has_focus)
            field.value = was
            await person.until(lambda: not any(row.is_wrong for row in person.app.screen.query(Row)))


async def test_a_letter_finds_an_entry_of_an_open_list(home: Home, scripted: type[Scripted]) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        person.app.screen.query_one("#method").focus()
        await person.press("enter", "k", "enter")
        await person.sees("Kahneman")


async def test_the_loss_mask_is_seen_before_a_run_starts(
    home: Home, store: Store, scripted: type[Scripted], started: list[RunRow]
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations", "^s check, then start")
        person.app.screen.query_one("#processes", Input).value = "2"
        await person.press("ctrl+s")
        await person.sees("check sft", "Loading the base", "Ctrl+S starts the run without waiting")
        assert scripted.made[0].where == Machines(processes=2), "it tries what will be started"
        scripted.made[0].go_on.set()
        await person.sees("3 of 5 rows", "1 longer than 1,024 tokens: left out", "[bold]odd[/bold]")
        await person.sees("12 steps, 640 tokens, about 5 s", "at most 1.0 GB of 8.0 GB", "flash kernel")
        await person.press("end")
        await person.sees("[red]asked␛[2J⟦ answered<end>⟧")
        await person.press("l")
        await person.sees("row 2, 64 tokens, the longest", "much⟦ more⟧", "2 of 3")
        await person.press("o")
        await person.sees("left out: 2,000 tokens, and max_length is 1,024", "far too⟦ long⟧")
        await person.press("right")
        await person.sees("3 of 5 rows")
        await person.press("left", "left")
        await person.sees("much⟦ more⟧", "⟦…⟧ is trained on")
        for there, back in (("n", "p"), ("pagedown", "pageup")):
            await person.press(there)
            await person.sees("far too⟦ long⟧")
            await person.press(back)
            await person.sees("much⟦ more⟧")
        assert runs.listed(store) == []
        await person.press("ctrl+s")
        await person.sees("run sft-1", "◌ queued")
    assert [run.name for run in started] == ["sft-1"]


async def test_a_run_starts_without_waiting_for_the_check(
    home: Home, scripted: type[Scripted], started: list[RunRow]
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        await person.press("ctrl+s")
        await person.sees("Loading the base")
        await person.press("ctrl+s")
        await person.sees("run sft-1")
    assert [check.stopped for check in scripted.made] == [True]
    assert len(started) == 1


async def test_leaving_ends_the_check_and_keeps_the_form(
    home: Home, store: Store, scripted: type[Scripted]
) -> None:
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        await person.press("ctrl+s")
        await person.sees("Loading the base")
        await person.press("escape")
        await person.sees("3 demonstrations")
        await person.until(lambda: scripted.made[0].stopped)
        assert "✗" not in person.screen()
    assert runs.listed(store) == []


async def test_why_a_run_could_not_start_is_said(home: Home, scripted: type[Scripted]) -> None:
    Scripted.outcome = UserError("Memory ran out with 64 tokens at a time.", do="What would help: nf4.")
    async with opened(home) as person:
        await person.press("ctrl+t")
        await person.sees("3 demonstrations")
        await person.press("ctrl+s")
        await person.sees("Loading the base")
        scripted.made[0].go_on.set()
        await person.sees("✗ Memory ran out with 64 tokens", "What would help: nf4.")
