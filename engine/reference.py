"""Log-probs of replies under the starting weights, computed once and kept between runs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from accelerate.utils import gather_object
from torch import Tensor

from engine import adapters, layouts, memory, processes
from engine.batches import Branch, Tree, micro_batches
from engine.logps import branch_log_probs
from engine.spec import Event, ReferenceCache

if TYPE_CHECKING:
    from engine.job import Job

CHUNK = 256  # prompts between two writes to the cache
AT_ONCE = 4  # times the budget of tokens: without a gradient no layer keeps anything


@dataclass(frozen=True)
class Asked:
    """A prompt, and the branches whose log-probs are wanted by their keys in the cache."""

    prompt: tuple[int, ...]
    branches: dict[bytes, Branch]

    @property
    def tree(self) -> Tree:
        """All of it as one tree."""
        return Tree(list(self.prompt), list(self.branches.values()))


def reference_log_probs(job: "Job", trees: Sequence[Tree]) -> Tensor:
    """Summed log-probs of every tree's branches under the weights that the run starts from: (trees, k).

    k is the most branches that a tree has; 0 stands where one has fewer. The weights are the base alone or,
    going on from an adapter, that adapter: call before the first step. What is in the cache is not computed,
    what is asked for twice is computed once, and replies to one prompt share it, whichever trees they are of.
    The rest is taken in chunks whose results are cached together, so that a run killed in between computes
    the same micro-batches when it starts again.
    """
    job = _sharing(job, trees)
    keys = [_keys(job, tree) for tree in trees]
    cache = job.reference_cache
    known = processes.from_main(_known(cache, keys))
    cached = len(trees) - len(_missing(known, keys))
    _report(job, cached, len(trees), cached)
    asked = _asked(trees, keys, known)
    for start in range(0, len(asked), CHUNK):
        if not job.checkpoint:  # one that has made steps goes back to them first, and ends there
            job.heed()  # several processes can agree on it here, a single one asks more often
        mine = memory.fitting(job, partial(_cut, job, asked[start : start + CHUNK]), partial(_compute, job))
        fresh = {key: value for part in gather_object([mine]) for key, value in part.items()}
        if cache:
            cache.put_many(fresh)
        known |= fresh
        _report(job, len(trees) - len(_missing(known, keys)), len(trees), cached)
    most = max(map(len, keys))
    sums = [[known[key] for key in row] + [0.0] * (most - len(row)) for row in keys]
    return torch.tensor(sums, device=job.base.device)


def unknown(job: "Job", trees: Sequence[Tree], cache: ReferenceCache | None) -> tuple[int, int]:
    """What `reference_log_probs` would have to compute: of how many trees, and how many tokens in all."""
    job = _sharing(job, trees)
    keys = [_keys(job, tree) for tree in trees]
    known = _known(cache, keys)
    tokens = sum(job.row_tokens(asked.tree) for asked in _asked(trees, keys, known))
    return len(_missing(known, keys)), tokens


def _sharing(job: "Job", trees: Sequence[Tree]) -> "Job":
    """The job in the layout in which replies share their prompt, if they can."""
    shares = job.layout == "padded" and layouts.can_share(job, trees)
    return replace(job, layout="tree") if shares else job


def _known(cache: ReferenceCache | None, keys: Sequence[Sequence[bytes]]) -> dict[bytes, float]:
    return dict(cache.get_many([key for row in keys for key in row])) if cache else {}


def _missing(known: Mapping[bytes, float], keys: Sequence[Sequence[bytes]]) -> list[int]:
    return [i for i, row in enumerate(keys) if not all(key in known for key in row)]


def _asked(
    trees: Sequence[Tree], keys: Sequence[Sequence[bytes]], known: Mapping[bytes, float]
) -> list[Asked]:
    """What is not known: every prompt once, with the branches that follow it anywhere."""
    found: dict[tuple[int, ...], Asked] = {}
    for tree, row in zip(trees, keys, strict=True):
        prompt = tuple(tree.prompt)
        for key, branch in zip(row, tree.branches, strict=True):
            if key not in known:
                found.setdefault(prompt, Asked(prompt, {})).branches[key] = branch
    return list(found.values())


def _cut(job: "Job", chunk: Sequence[Asked], budget: int) -> list[list[Asked]]:
    """Micro-batches of `chunk`; a prompt with more branches than fit in `budget` tokens is there again."""
    parts: list[Asked] = []
    for asked in chunk:
        part: dict[bytes, Branch] = {}
        for key, branch in asked.branches.items():
            if part and job.row_tokens(Asked(asked.prompt, {**part, key: branch}).tree) > budget:
                parts.append(Asked(asked.prompt, part))
                part = {}
            part[key] = branch
        parts.append(Asked(asked.prompt, part))
    lengths = [job.row_tokens(part.tree) for part in parts]
    return [
        [parts[i] for i in group] for group in micro_batches(range(len(parts)), lengths, AT_ONCE * budget)
    ]


def _compute(job: "Job", groups: Sequence[Sequence[Asked]]) -> dict[bytes, float]:
    fresh: dict[bytes, float] = {}
    for group, _ in processes.dealt(groups, even=job.base.shards is not None):
        if not job.checkpoint:
            job.heed_alone()
        batch = job.collate([asked.tree for asked in group])
        with torch.no_grad(), job.base.autocast():
            if job.parent or job.spec.adapter.kind == "full":
                values = branch_log_probs(job.base.model, batch)
            else:
                with adapters.without(job.base):  # the fresh adapter adds exactly nothing, but takes time
                    values = branch_log_probs(job.base.model, batch)
        fresh |= zip((key for asked in group for key in asked.branches), values.tolist(), strict=True)
    return fresh


def _keys(job: "Job", tree: Tree) -> list[bytes]:
    weights = f"{job.base.fingerprint} {job.parent} {job.base.precision}"
    return [
        hashlib.sha256(f"{weights} {tree.prompt} {branch.ids}".encode()).digest() for branch in tree.branches
    ]


def _report(job: "Job", done: int, total: int, cached: int) -> None:
    job.emit(Event("reference", {"done": done, "total": total, "cached": cached}))
