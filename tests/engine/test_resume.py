"""Exact resume: killed at any moment, or with any piece of a checkpoint left out."""

import json
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import killing
import numpy
import pytest
import torch
from killing import Kill
from safetensors.torch import load_file, save_file
from small_run import Reports, run

from engine import adapters, checkpoints, loop
from engine.base_files import sha256_of
from engine.errors import UserError
from engine.spec import Adapter, methods

METHODS = list(methods())
STEPS = 12
# Dropout, so that the random generator counts; twelve steps, so that there is something to kill.
SPEC: dict[str, Any] = {"adapter": Adapter(dropout=0.2), "options": {"epochs": 4}}
OPERATIONS = 17  # of files, in one checkpoint that takes the place of an older one
# Kept to save time, and the same when computed anew: what a run ends with does not depend on it.
# PPO names its random streams by seed and phase, and leaves dropout out: no generator counts.
CACHES = {"dpo": {"keep/reference"}, "ppo": {"generators"}}


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    killing.start_server()


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / adapters.WEIGHTS).read_bytes()


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", METHODS)
def test_killed_again_and_again_it_ends_bit_equal(
    method: str, kills: int, model: Path, tmp_path: Path
) -> None:
    def go(folder: Path, kill: Kill | None) -> int:
        return killing.child(killing.train, folder, model, method, SPEC, kill)

    assert go(tmp_path / "straight", None) == 0
    expected = weights(tmp_path / "straight")
    moments = kill_moments(f"{method} {kills}")
    broken, killed = tmp_path / "broken", 0
    while killed < kills:
        code = go(broken, next(moments))
        if code == -signal.SIGKILL:
            killed += 1
        else:
            assert code == 0
            assert weights(broken) == expected
            shutil.rmtree(broken)
    assert go(broken, None) == 0
    assert weights(broken) == expected
    assert not list(broken.rglob(".*"))  # nor is anything left of what was killed half-way


def kill_moments(seed: str) -> Iterator[Kill]:
    dice = random.Random(seed)
    while True:
        yield Kill("step", dice.randrange(5))
        yield Kill("saving", dice.randrange(OPERATIONS))


@pytest.mark.parametrize("method", METHODS)
def test_leaving_out_any_piece_of_a_checkpoint_ends_elsewhere(
    method: str, model: Path, tmp_path: Path
) -> None:
    def go(folder: Path, pause_at: int = STEPS + 1) -> bytes:
        reports = Reports()

        def should_stop() -> Any:
            return "pause" if len(reports.of("step")) == pause_at else ""

        run(folder, model, method, reports=reports, should_stop=should_stop, **SPEC)
        return b"" if pause_at < STEPS else weights(folder)

    expected = go(tmp_path / "straight")
    go(tmp_path / "paused", pause_at=5)
    (saved,) = (tmp_path / "paused" / "checkpoints").glob("step-000005")
    same = set()
    for piece in ["", *pieces(saved)]:
        broken = tmp_path / "broken"
        shutil.copytree(tmp_path / "paused", broken)
        leave_out(piece, broken / "checkpoints" / saved.name)
        try:
            if go(broken) == expected:
                same.add(piece)
        except (KeyError, UserError):
            pass  # seen at once
        shutil.rmtree(broken)
    assert same == {""} | CACHES.get(method, set())


@pytest.mark.parametrize("generator", ["none", "python", "numpy", "torch"])
def test_every_random_generator_is_a_piece(
    generator: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steady = loop.learning_rate

    def drawn(
        *arguments: Any,
    ) -> float:  # a schedule that uses the generators that the engine itself does not
        return steady(*arguments) * (1 + random.random()) * (1 + numpy.random.rand())

    monkeypatch.setattr(loop, "learning_rate", drawn)

    def go(folder: Path, pause_at: int = STEPS + 1) -> None:
        random.seed(0)
        numpy.random.seed(0)
        reports = Reports()

        def should_stop() -> Any:
            return "pause" if len(reports.of("step")) == pause_at else ""

        run(folder, model, "sft", reports=reports, should_stop=should_stop, **SPEC)

    go(tmp_path / "straight")
    go(tmp_path / "paused", pause_at=5)
    file = tmp_path / "paused" / "checkpoints" / "step-000005" / checkpoints.STATE
    state = json.loads(file.read_text())
    random.seed(1)
    numpy.random.seed(1)
    torch.manual_seed(1)
    if generator != "none":
        state["generators"][0][generator] = checkpoints.generators()[generator]
    file.write_text(json.dumps(state))
    sign(file.parent)
    go(tmp_path / "paused")
    assert (weights(tmp_path / "paused") == weights(tmp_path / "straight")) == (generator == "none")


def pieces(checkpoint: Path) -> list[str]:
    """Weights, heads, each kind of moment, each tensor that the method keeps, the step, the generators."""
    names = load_file(checkpoint / checkpoints.TENSORS)
    two_parts = {
        "/".join(name.split("/")[:2]) for name in names
    }  # trained/base_model.model.…, keep/reference
    kinds = {part.split(".")[0] for part in two_parts if part.startswith(("trained/", "keep/"))}
    kinds |= {f"optimizer/{name.rsplit('/')[-1]}" for name in names if name.startswith("optimizer/")}
    return [*sorted(kinds), "step", "generators"]


def leave_out(piece: str, checkpoint: Path) -> None:
    """Write the checkpoint again without `piece`, as if it had never been saved; "" leaves out nothing."""
    tensors = load_file(checkpoint / checkpoints.TENSORS)

    def gone(name: str) -> bool:
        if name.startswith("optimizer/"):
            return name.endswith(piece.removeprefix("optimizer"))
        return name.startswith(piece)

    left = {name: tensor for name, tensor in tensors.items() if not piece or not gone(name)}
    state = json.loads((checkpoint / checkpoints.STATE).read_text())
    if piece == "step":
        state["step"] = 0
    if piece == "generators":
        state["generators"] = []
    save_file(left, checkpoint / checkpoints.TENSORS)
    (checkpoint / checkpoints.STATE).write_text(json.dumps(state))
    sign(checkpoint)


def sign(checkpoint: Path) -> None:
    """Write the manifest for the files as they are."""
    sums = {name: sha256_of(checkpoint / name) for name in (checkpoints.TENSORS, checkpoints.STATE)}
    (checkpoint / checkpoints.MANIFEST).write_text(json.dumps(sums))
