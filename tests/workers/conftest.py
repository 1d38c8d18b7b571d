"""A tiny model on disk, homes, and one chat worker that several tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from places import Place, new_place

from tuner_app.workers import supervisor


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("model") / "tiny", context=4096)


@pytest.fixture
def place(tmp_path: Path, tiny_folder: Path) -> Iterator[Place]:
    made = new_place(tmp_path / "home", tiny_folder)
    yield made
    supervisor.stop_chat(made.home)
    made.store.close()


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Place]:
    """A home whose chat worker serves the tiny model, and that has an adapter called “yellow”."""
    made = new_place(tmp_path_factory.mktemp("shared") / "home", tiny_folder)
    made.trained(made.plan(name="yellow"))
    supervisor.ensure_chat(made.home, str(tiny_folder))
    yield made
    supervisor.stop_chat(made.home)
    made.store.close()


@pytest.fixture(scope="session")
def endpoint(shared_place: Place) -> supervisor.Endpoint:
    found = supervisor.chat_endpoint(shared_place.home)
    assert found is not None
    return found
