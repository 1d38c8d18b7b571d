"""Checkpoints: whole or absent, damage skipped aloud, the newest kept."""

import errno
import json
import os
import random
from pathlib import Path

import numpy
import pytest
import torch

from engine import checkpoints, disk
from engine.errors import UserError

TENSORS = {"adapter/a": torch.arange(4.0), "keep/b": torch.tensor([7.0])}


def saved(folder: Path, *steps: int) -> list[Path]:
    return [checkpoints.save(folder, step, TENSORS, [checkpoints.generators()], "me") for step in steps]


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    saved(tmp_path, 3)
    found = checkpoints.latest(tmp_path, "me", pytest.fail)
    assert found is not None
    assert found.step == 3
    assert torch.equal(found.part("adapter")["a"], TENSORS["adapter/a"])
    assert list(found.part("keep")) == ["b"]


def test_the_newest_two_stay(tmp_path: Path) -> None:
    saved(tmp_path, 9, 100, 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000100", "step-001000"]


def flip_a_byte(folder: Path) -> None:
    file = folder / checkpoints.TENSORS
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_a_byte, "does not match"),
        (lambda folder: (folder / checkpoints.TENSORS).unlink(), "tensors.safetensors is missing"),
        (lambda folder: (folder / checkpoints.STATE).unlink(), "state.json is missing"),
        (lambda folder: (folder / checkpoints.MANIFEST).unlink(), "manifest.json"),
        (lambda folder: (folder / checkpoints.MANIFEST).write_text("{"), "skipped"),
        (lambda folder: (folder / checkpoints.MANIFEST).write_text("[]"), "skipped"),
    ],
)
def test_damage_is_skipped_aloud(damage, says: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, last = saved(tmp_path, 5, 6)
    damage(last)
    warnings: list[str] = []
    found = checkpoints.latest(tmp_path, "me", warnings.append)
    assert found is not None
    assert found.step == 5
    assert len(warnings) == 1
    assert "step-000006" in warnings[0]
    assert says in warnings[0]


def test_a_checkpoint_of_another_run_is_skipped_aloud(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    warnings: list[str] = []
    assert checkpoints.latest(tmp_path, "you", warnings.append) is None
    assert "other settings or data" in warnings[0]


def test_none_at_all_is_no_fault(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path / "absent", "me", pytest.fail) is None
    assert "No step" in checkpoints.last_good(tmp_path)


def test_a_full_disk_keeps_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, 5)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(UserError, match="the disk is full") as caught:
        saved(tmp_path, 6)
    assert "step 5 is safe" in caught.value.kept
    assert [path.name for path in tmp_path.iterdir()] == ["step-000005"]


def test_a_fault_half_way_leaves_no_folder(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with disk.whole(tmp_path / "x") as folder:
            (folder / "half").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_every_generator_goes_on_where_it_was() -> None:
    def draw() -> list[float]:
        return [random.random(), float(numpy.random.rand()), float(torch.rand(()))]

    state = json.loads(json.dumps(checkpoints.generators()))
    first = draw()
    assert draw() != first
    checkpoints.restore_generators(state)
    assert draw() == first
