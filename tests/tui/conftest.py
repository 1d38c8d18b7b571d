"""A home in a temporary folder, with a scripted server that answers."""

from collections.abc import Iterator
from pathlib import Path

import keys_tried
import pytest
from scripted_server import ScriptedServer

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store

FOLDER = Path(__file__).parent


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


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """The same database, as another process would open it."""
    opened = Store.open(home.database)
    yield opened
    opened.close()


@pytest.fixture(autouse=keys_tried.NEW)
def keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    test = f"{request.path.relative_to(FOLDER)}::{request.function.__name__}"
    yield from keys_tried.recorded(monkeypatch, test)
