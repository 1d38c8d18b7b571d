"""Checkpoints: whole or absent, damage skipped aloud, the newest kept."""

import errno
import json
import os
import random
import resource
import signal
from pathlib import Path

import killing
import numpy
import pytest
import torch
from safetensors import SafetensorError

from engine import checkpoints, disk
from engine.errors import UserError

TENSORS = {"adapter/a": torch.arange(4.0), "keep/b": torch.tensor([7.0])}


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    killing.start_server()


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


def flip_a_byte(name: str):  # type: ignore[no-untyped-def]
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[-2] ^= 1
        (folder / name).write_bytes(data)

    return flip


def cut(name: str):  # type: ignore[no-untyped-def]
    def half(folder: Path) -> None:
        os.truncate(folder / name, (folder / name).stat().st_size // 2)

    return half


def remove(name: str):  # type: ignore[no-untyped-def]
    return lambda folder: (folder / name).unlink()


def another_s(name: str):  # type: ignore[no-untyped-def]
    """The file of another checkpoint, whole in itself."""

    def exchange(folder: Path) -> None:
        other = checkpoints.save(folder.parent / "other", 9, {"a": torch.ones(3)}, [], "me")
        (folder / name).write_bytes((other / name).read_bytes())

    return exchange


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (flip_a_byte(checkpoints.TENSORS), "tensors.safetensors does not match"),
        (flip_a_byte(checkpoints.STATE), "state.json does not match"),
        (flip_a_byte(checkpoints.MANIFEST), "skipped"),
        (cut(checkpoints.TENSORS), "tensors.safetensors does not match"),
        (cut(checkpoints.STATE), "state.json does not match"),
        (cut(checkpoints.MANIFEST), "skipped"),
        (remove(checkpoints.TENSORS), "tensors.safetensors is missing"),
        (remove(checkpoints.STATE), "state.json is missing"),
        (remove(checkpoints.MANIFEST), "manifest.json is missing"),
        (another_s(checkpoints.TENSORS), "tensors.safetensors does not match"),
        (another_s(checkpoints.STATE), "state.json does not match"),
        (another_s(checkpoints.MANIFEST), "tensors.safetensors does not match"),
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
    assert "starts at its beginning" in warnings[1]


def test_none_at_all_is_no_fault(tmp_path: Path) -> None:
    assert checkpoints.latest(tmp_path / "absent", "me", pytest.fail) is None
    assert "No step" in checkpoints.last_good(tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_keeps_the_one_before(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, 5)

    def full(*_: object) -> None:
        raise fault

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(UserError, match="the disk is full") as caught:
        saved(tmp_path, 6)
    assert "step 5 is safe" in caught.value.kept
    assert [path.name for path in tmp_path.iterdir()] == ["step-000005"]


def save_beyond_the_limit(folder: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        checkpoints.save(folder, 6, {"a": torch.zeros(10_000)}, [], "me")
    except UserError as error:
        (folder / "said").write_text(str(error))


def test_a_file_that_the_system_refuses_to_write_keeps_the_one_before(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    assert killing.child(save_beyond_the_limit, tmp_path) == 0
    said = (tmp_path / "said").read_text()
    assert "File too large" in said
    assert "step 5 is safe" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["said", "step-000005"]


OPERATIONS = 17  # of files, in a save that takes the place of an older one


def save_and_die(folder: Path, number: int) -> None:
    killing.kill_while_saving(number)
    saved(folder, 6)


@pytest.mark.parametrize("number", range(OPERATIONS + 1))
def test_killed_between_any_two_file_operations(number: int, tmp_path: Path) -> None:
    saved(tmp_path, 2, 4)
    code = killing.child(save_and_die, tmp_path, number)
    assert code == (0 if number == OPERATIONS else -signal.SIGKILL)
    found = checkpoints.latest(tmp_path, "me", pytest.fail)
    assert found is not None
    assert found.step in (4, 6)
    assert torch.equal(found.part("adapter")["a"], TENSORS["adapter/a"])
    saved(tmp_path, 8)
    before = "step-000006" if found.step == 6 else "step-000004"
    assert sorted(path.name for path in tmp_path.iterdir()) == [before, "step-000008"]


def test_passed_over_checkpoints_do_not_push_out_good_ones(tmp_path: Path) -> None:
    for step in (100, 200):
        checkpoints.save(tmp_path, step, TENSORS, [], "you")
    saved(tmp_path, 2)
    found = checkpoints.latest(tmp_path, "me", pytest.fail)
    assert found is not None
    assert found.step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-000002"]


def test_rotation_goes_by_step_and_not_by_time(tmp_path: Path) -> None:
    saved(tmp_path, 5, 6)
    os.utime(tmp_path / "step-000005")
    os.utime(tmp_path / "step-000006", (0, 0))
    saved(tmp_path, 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000006", "step-000007"]


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
