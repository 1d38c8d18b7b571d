"""A home that has the same name every time, and the album of the screen that a test is named after."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from album import Album
from scripted_server import ScriptedServer
from still import stand_still, utc

from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store
from tuner_app.workers import supervisor
from tuner_app.workers.supervisor import Endpoint


@pytest.fixture
def home(tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    stand_still(monkeypatch, tmp_path)
    made = Home(Path("home"))
    made.folder.mkdir()
    Store.open(made.database, migrate=True).close()
    settings.save(made, Settings())
    worker = Endpoint(server.url, "key", 1, "builtin")  # the scripted server stands in for it
    monkeypatch.setattr(supervisor, "chat_endpoint", lambda _: worker)
    monkeypatch.setattr(supervisor, "ensure_chat", lambda *_, **__: worker)
    with utc():
        yield made


@pytest.fixture
def album(request: pytest.FixtureRequest) -> Iterator[Album]:
    made = Album(request.function.__name__.removeprefix("test_"))
    yield made
    if made.seen:
        made.close()
