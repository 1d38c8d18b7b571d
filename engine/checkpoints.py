"""Checkpoints of a run: written whole or not at all, checked before they are believed.

A checkpoint is a folder `step-000123` with `tensors.safetensors`, `state.json` and `manifest.json`, the
SHA-256 of the other two. It holds all that a run needs to go on as if it had not stopped.
"""

import json
import random
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.base_files import sha256_of
from engine.disk import whole

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
KEPT = 2  # the last is good once a step from it had a finite loss; until then there is the one before it


Generators = dict[str, Any]  # the state of one process's random generators, as JSON


@dataclass(frozen=True)
class Checkpoint:
    """A run after `step` optimiser steps: tensors by name, and every process's random generators."""

    step: int
    tensors: dict[str, Tensor]
    generators: list[Generators]

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors saved under `name/…`, without that prefix."""
        return {k.removeprefix(f"{name}/"): v for k, v in self.tensors.items() if k.startswith(f"{name}/")}


def save(
    folder: Path, step: int, tensors: Mapping[str, Tensor], generators: Sequence[Generators], identity: str
) -> Path:
    """Write the checkpoint of `step` into `folder`, drop all but the newest, and return its folder.

    `identity` names the run (its specification and data); another run's checkpoint is not resumed. One of a
    later step can only be one that was passed over: it goes too, or it would push out those that are good.
    """
    target = folder / f"step-{step:06d}"
    for unfinished in folder.glob(".step-*"):  # of a process that was killed
        shutil.rmtree(unfinished, ignore_errors=True)
    with whole(target, kept=last_good(folder)) as temporary:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / TENSORS)
        state = {"step": step, "identity": identity, "generators": list(generators)}
        (temporary / STATE).write_text(json.dumps(state), encoding="utf-8")
        sums = {name: sha256_of(temporary / name) for name in (TENSORS, STATE)}
        (temporary / MANIFEST).write_text(json.dumps(sums), encoding="utf-8")
    for number, path in _numbered(folder):
        if number > step:
            _drop(path)
    for _, path in _numbered(folder)[:-KEPT]:
        _drop(path)
    return target


def discard(folder: Path, step: int) -> None:
    """Drop the checkpoint of `step`, if there is one: what it holds has turned out to be no good."""
    for number, path in _numbered(folder):
        if number == step:
            _drop(path)


def _drop(path: Path) -> None:
    """Delete a checkpoint; killed half-way, it is rubbish by name and not a damaged one."""
    rubbish = path.with_name(f".{path.name}")
    path.rename(rubbish)
    shutil.rmtree(rubbish)


def latest(folder: Path, identity: str, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole and of this run; each one passed over is named to `warn`."""
    found = _numbered(folder)
    for _, path in reversed(found):
        try:
            return _read(path, identity)
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn(f"The checkpoint {path.name} is skipped: {error}.")
    if found:
        warn("No checkpoint is left to go on from: the run starts at its beginning.")
    return None


def _read(path: Path, identity: str) -> Checkpoint:
    for name in (MANIFEST, TENSORS, STATE):
        if not (path / name).is_file():
            raise ValueError(f"{name} is missing")
    sums = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    for name in (TENSORS, STATE):
        if sha256_of(path / name) != sums[name]:
            raise ValueError(f"{name} does not match its SHA-256")
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    if state["identity"] != identity:
        raise ValueError("it belongs to a run with other settings or data")
    return Checkpoint(int(state["step"]), load_file(path / TENSORS), state["generators"])


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    named = ((re.fullmatch(r"step-(\d+)", path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in named if match)


def last_good(folder: Path) -> str:
    """What to tell a person of a failed run in `folder`: which checkpoint is safe, if any."""
    before = _numbered(folder)
    return f"The checkpoint of step {before[-1][0]} is safe." if before else "No step was saved yet."


def generators() -> Generators:
    """This process's random generators: Python's, numpy's, torch's on the CPU and on the process's GPU."""
    version, numbers, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, [int(key) for key in keys], int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state().tolist(),
        "cuda": torch.cuda.get_rng_state().tolist() if torch.cuda.is_initialized() else [],
    }


def restore_generators(state: Generators) -> None:
    """Put every random generator of this process back to what `generators` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = state["numpy"]
    numpy.random.set_state((kind, numpy.array(keys, dtype=numpy.uint32), *rest))
    torch.set_rng_state(torch.tensor(state["torch"], dtype=torch.uint8))
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.tensor(state["cuda"], dtype=torch.uint8))
