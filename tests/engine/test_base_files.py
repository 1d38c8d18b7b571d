"""Bases by hub name, and the fingerprints that they are known by."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

from engine import base_files


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("good"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good, tmp_path / "model")


@pytest.mark.slow
def test_a_hub_name_without_a_network_is_told(tmp_path: Path) -> None:
    code = "from engine import models; models.load('someone/some-model')"
    environment = os.environ | {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "UserError" in done.stderr
    assert "hub cannot be reached" in done.stderr
    assert "Connect to the network once" in done.stderr


def test_a_cached_hub_model_needs_no_network(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "models--someone--tiny"
    shutil.copytree(good, cache / "snapshots" / "abc")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(base_files, "_download", lambda name: pytest.fail(f"{name} was asked for"))
    assert base_files.locate("someone/tiny") == cache / "snapshots" / "abc"


def test_the_fingerprint_is_of_what_the_model_computes(good: Path, folder: Path) -> None:
    same = base_files.fingerprint(str(good))
    tiny.break_config(folder, transformers_version="4.0", _name_or_path="elsewhere")
    assert base_files.fingerprint(str(folder)) == same
    tiny.break_config(folder, rope_theta=5.0)
    other = base_files.fingerprint(str(folder))
    assert other != same
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert base_files.fingerprint(str(folder)) not in (same, other)
