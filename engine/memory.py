"""When memory runs out: compute less at a time where nothing but speed changes, else say what would help.

The ladder, from what costs least: shorter micro-batches, and gradient checkpointing, are taken by a run
itself; a 4-bit base and shorter rows, which give another result, are a person's to choose.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor

from engine.checkpoints import Checkpoint, last_good
from engine.errors import UserError
from engine.models import Base, out_of_memory, recompute_activations
from engine.options import Optimisation
from engine.spec import Event

if TYPE_CHECKING:
    from engine.job import Job

Group = TypeVar("Group")
Result = TypeVar("Result")


@dataclass
class Room:
    """How much a run computes at a time: lowered when memory runs out.

    `micro_tokens` is how many tokens go through the model at a time; `checkpointing` whether activations are
    computed twice instead of kept. Kept in checkpoints, so that a resumed run adds up its sums in the order
    of one that was never stopped.
    """

    micro_tokens: int
    checkpointing: bool = False

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint's part "room"."""
        return {name: torch.tensor(value) for name, value in vars(self).items()}


def room(options: Optimisation, base: Base, checkpoint: Checkpoint | None) -> Room:
    """What a run starts with, or goes on with; gradient checkpointing is switched on if it is to be."""
    kept = checkpoint.part("room") if checkpoint else {}
    on_cpu = 1024 if base.dtype == torch.bfloat16 else 512  # measured: tests/bench/README.md
    tokens = options.micro_tokens or (on_cpu if base.device.type == "cpu" else 8192)
    found = Room(
        int(kept.get("micro_tokens", tokens)), bool(kept.get("checkpointing", options.checkpointing))
    )
    if found.checkpointing:
        recompute_activations(base)
    return found


def fitting(
    job: "Job",
    cut: Callable[[int], Sequence[Group]],
    work: Callable[[Sequence[Group]], Result],
) -> Result:
    """`work` on the micro-batches that `cut` makes for a budget of tokens; again, with less at a time, for as
    long as memory runs out.

    `work` must be one that can be done anew: each time it finds the random generators as they were. When
    it fails on one of several processes all of them do it again; not where the base is cut up, because the
    others are in the middle of a pass that they cannot go on with. Raises UserError at the end of the ladder.
    """
    if job.base.shards:
        return work(cut(job.room.micro_tokens))
    while True:
        random = _random(job)
        failed, result = _tried(work, cut(job.room.micro_tokens))
        if not _anywhere(job, failed):
            assert result is not None
            return result
        del result
        _clear(job)
        _restore(job, random)
        _step_down(job, cut)


def ran_out(job: "Job") -> UserError:
    """What to tell a person when memory does not suffice: what would help, and what each of it costs."""
    help = [f"rows shorter than max_length {job.max_length} (longer ones are left out, and counted)"]
    if job.base.shards:  # else this has been tried
        help.insert(0, f"micro_tokens {job.room.micro_tokens // 2}, checkpointing (both slower)")
    else:
        help.append("the base cut up among devices, with --processes N --shard (slower)")
    if job.base.precision != "nf4":
        help.insert(0, "precision nf4 (a quarter of bf16's memory for the base; its weights are rounded)")
    return UserError(
        f"Memory ran out with {job.room.micro_tokens} tokens at a time.",
        kept=last_good(job.checkpoints),
        do=f"What would help: {'; '.join(help)}; a smaller base.",
    )


def _tried(work: Callable[[Sequence[Group]], Result], groups: Sequence[Group]) -> tuple[bool, Result | None]:
    """Whether memory ran out, and the result if not. What the failed try held is let go of on returning."""
    try:
        return False, work(groups)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return True, None


def _anywhere(job: "Job", failed: bool) -> bool:
    """Whether it failed on any of the processes."""
    if PartialState().num_processes == 1:
        return failed
    return bool(reduce(torch.tensor(float(failed), device=job.base.device), "sum") > 0)


def _step_down(job: "Job", cut: Callable[[int], Sequence[Group]]) -> None:
    before = job.room.micro_tokens
    budget, groups = before, cut(before)
    while budget > 1:
        budget //= 2
        if cut(budget) != groups:
            job.room.micro_tokens = budget
            _say(job, f"{budget} tokens go through the model at a time, not {before} (slower")
            return
    if job.room.checkpointing:
        raise ran_out(job)
    try:
        recompute_activations(job.base)
    except UserError:  # not with this architecture
        raise ran_out(job) from None
    job.room.checkpointing = True
    _say(job, "activations are computed twice instead of kept (gradient checkpointing: a third slower")


def _say(job: "Job", what: str) -> None:
    message = f"Memory ran out: from now on {what}; the result is the same)."
    job.emit(Event("warning", {"message": message, **vars(job.room)}))


def _clear(job: "Job") -> None:
    gc.collect()  # tensors of the failed try may hang in cycles
    if job.base.device.type == "cuda":
        torch.cuda.empty_cache()


def _random(job: "Job") -> list[Tensor]:
    states = [torch.get_rng_state()]
    return states + ([torch.cuda.get_rng_state(job.base.device)] if job.base.device.type == "cuda" else [])


def _restore(job: "Job", states: Sequence[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if states[1:]:
        torch.cuda.set_rng_state(states[1], job.base.device)
