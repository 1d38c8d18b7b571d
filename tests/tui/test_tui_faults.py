"""Faults of ours, and closing while something is under way."""

import asyncio
import threading

import pytest
from person import opened
from textual.worker import WorkerFailed

from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.tui.app import TunerApp
from tuner_app.tui.database import Database
from tuner_app.tui.screens.runs import RunsScreen


def broken(*_: object) -> None:
    raise ZeroDivisionError("our [bold]mistake")


async def test_a_fault_in_the_background_is_told_and_the_app_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner_app.tui.screens.runs.listed", broken)

    went_on = False

    async def meet_it() -> None:
        nonlocal went_on
        async with opened(home, (120, 40), notifications=True) as person:
            await person.press("ctrl+r")
            await person.sees("An unexpected fault: ZeroDivisionError: our", "[bold]mistake", "fault.log")
            await person.press("escape")
            await person.ask("hello", "ok")
            went_on = True

    with pytest.raises(WorkerFailed, match="our"):  # the tests' driver raises it again at the end
        await meet_it()
    assert went_on  # what failed in there would be hidden by the driver's exception
    text = (home.folder / "fault.log").read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "in broken" in text


async def test_what_is_told_in_passing_hides_neither_the_notice_nor_the_keys(home: Home) -> None:
    async with opened(home, notifications=True) as person:
        await person.press("ctrl+r")
        await person.sees("No runs yet")
        before = person.screen().split("\n")
        person.app.notify("sft-1 is done. " * 8, markup=False)
        await person.sees("sft-1 is done")
        after = person.screen().split("\n")
        assert (after[0], after[-8:]) == (before[0], before[-8:])


async def test_any_other_fault_ends_the_app_without_a_traceback(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(RunsScreen, "on_mount", broken)
    store = Store.open(home.database)
    app = TunerApp(home, store)
    with pytest.raises(ZeroDivisionError):
        async with app.run_test() as pilot:
            await pilot.press("ctrl+r")
    store.close()
    assert app.return_code == 1
    said = capsys.readouterr().err
    assert "An unexpected fault: ZeroDivisionError: our [bold]mistake" in said
    assert "Traceback" not in said
    assert str(home.folder / "fault.log") in said.replace("\n", "")  # the path is wrapped


async def test_closing_carries_out_what_is_being_written_and_cancels_what_comes_after(
    home: Home,
) -> None:
    store = Store.open(home.database)
    database = Database(store)
    begun, may_end, written = threading.Event(), threading.Event(), []

    def write(_: Store) -> None:
        begun.set()
        may_end.wait(5)
        written.append("it")

    async def save_and_look() -> None:
        await database(write)
        await database(lambda _: written.append("a look at what nobody sees any more"))

    saving = asyncio.create_task(save_and_look())
    assert await asyncio.to_thread(begun.wait, 20)
    threading.Timer(0.05, may_end.set).start()
    database.close()
    await asyncio.wait({saving})
    assert written == ["it"]
    assert saving.cancelled()
    store.close()
