"""Log-probs of replies under the starting weights, computed once and kept between runs."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor

from engine import adapters, memory, processes
from engine.batches import Tree, micro_batches
from engine.logps import branch_log_probs
from engine.spec import Event, ReferenceCache

if TYPE_CHECKING:
    from engine.job import Job

CHUNK = 256  # trees between two writes to the cache
AT_ONCE = 4  # times the budget of tokens: without a gradient no layer keeps anything


def reference_log_probs(job: "Job", trees: Sequence[Tree]) -> Tensor:
    """Summed log-probs of every tree's branches under the weights that the run starts from: (trees, k).

    k is the most branches that a tree has; 0 stands where one has fewer. The weights are the base alone or,
    going on from an adapter, that adapter: call before the first step. Trees in the cache are not computed.
    The rest are taken in chunks whose results are cached together, so that a run killed in between computes
    the same micro-batches when it starts again.
    """
    keys = [_keys(job, tree) for tree in trees]
    cache = job.reference_cache
    known = processes.from_main(_known(cache, keys))
    missing = _missing(known, keys)
    cached = done = len(trees) - len(missing)
    lengths = [job.row_tokens(tree) for tree in trees]
    _report(job, done, len(trees), cached)
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        mine = memory.fitting(job, partial(_cut, chunk, lengths), partial(_compute, job, trees, keys))
        fresh = {key: value for part in gather_object([mine]) for key, value in part.items()}
        if cache:
            cache.put_many(fresh)
        known |= fresh
        done += len(chunk)
        _report(job, done, len(trees), cached)
    most = max(map(len, keys))
    sums = [[known[key] for key in row] + [0.0] * (most - len(row)) for row in keys]
    return torch.tensor(sums, device=job.base.device)


def unknown(job: "Job", trees: Sequence[Tree], cache: ReferenceCache | None) -> list[int]:
    """Which trees (numbers) `reference_log_probs` would have to compute."""
    keys = [_keys(job, tree) for tree in trees]
    return _missing(_known(cache, keys), keys)


def _known(cache: ReferenceCache | None, keys: Sequence[Sequence[bytes]]) -> dict[bytes, float]:
    return dict(cache.get_many([key for row in keys for key in row])) if cache else {}


def _missing(known: Mapping[bytes, float], keys: Sequence[Sequence[bytes]]) -> list[int]:
    return [i for i, row in enumerate(keys) if not all(key in known for key in row)]


def _cut(trees: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    return micro_batches(trees, lengths, AT_ONCE * budget)


def _compute(
    job: "Job", trees: Sequence[Tree], keys: Sequence[Sequence[bytes]], groups: Sequence[Sequence[int]]
) -> dict[bytes, float]:
    fresh: dict[bytes, float] = {}
    process = PartialState()
    for numbers in groups[process.process_index :: process.num_processes]:
        batch = job.collate([trees[i] for i in numbers])
        with torch.no_grad(), job.base.autocast():
            if job.parent or job.spec.adapter.kind == "full":
                values = branch_log_probs(job.base.model, batch)
            else:
                with adapters.without(job.base):  # the fresh adapter adds exactly nothing, but takes time
                    values = branch_log_probs(job.base.model, batch)
        fresh |= zip((key for i in numbers for key in keys[i]), values.tolist(), strict=True)
    return fresh


def _keys(job: "Job", tree: Tree) -> list[bytes]:
    weights = f"{job.base.fingerprint} {job.parent} {job.base.precision}"
    return [
        hashlib.sha256(f"{weights} {tree.prompt} {branch.ids}".encode()).digest() for branch in tree.branches
    ]


def _report(job: "Job", done: int, total: int, cached: int) -> None:
    job.emit(Event("reference", {"done": done, "total": total, "cached": cached}))
