"""Garbage is looked for while nobody types."""

import gc
import weakref

import pytest
from person import opened
from scripted_server import ScriptedServer

from tuner_app.paths import Home
from tuner_app.tui import tidying


class Ring:
    """Holds itself: only a search finds that nobody else does."""

    def __init__(self) -> None:
        self.itself = self


async def test_all_is_searched_once_nobody_types(
    home: Home, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(tidying, "QUIET_SECONDS", 1000.0)
    before = gc.get_threshold()
    gc.disable()  # as the command does before it opens the app
    async with opened(home) as person:
        await person.until(gc.isenabled)
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == (*before[:2], tidying.RARELY)
        held = Ring()
        ring = weakref.ref(held)
        gc.collect()  # it is old now
        del held
        person.app._input_came -= 2000.0
        await person.press("a")
        for _ in range(tidying.OFTEN):
            gc.collect(1)  # as Python does by itself when something has been made
        person.app._tidy()
        assert ring(), "a key has just come"
        person.app._input_came -= 2000.0
        await person.until(lambda: not ring())
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
