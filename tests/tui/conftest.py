"""A home in a temporary folder, a scripted server that answers, and the app between them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer
from textual.pilot import Pilot

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store
from tuner_app.tui.app import TunerApp


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def home(tmp_path: Path, server: ScriptedServer) -> Home:
    made = Home(tmp_path)
    Store.open(made.database, migrate=True).close()
    settings.save(made, Settings(chat_url=server.url))
    return made


@asynccontextmanager
async def opened(home: Home, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[TunerApp, Pilot[Any]]]:
    """The app, running on a screen of `size`; closed like a person's."""
    store = Store.open(home.database)
    app = TunerApp(home, store)
    try:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            yield app, pilot
    finally:
        store.close()
