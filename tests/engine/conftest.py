"""The tiny model, which the tests of a process share."""

from pathlib import Path

import pytest
import tiny


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder, where nobody changes anything; beside it `small_run` keeps a reward model."""
    return tiny.save_model(tmp_path_factory.mktemp("model") / "tiny")
