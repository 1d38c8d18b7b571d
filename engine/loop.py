"""The training loop: optimiser steps over micro-batches, checkpoints, events, and stopping.

`fit` walks through rows for the methods that have a loss per row; `Trainer` is what it stands on, and what
a method with a loop of its own (PPO) stands on too. On several processes (`accelerate launch`) each takes
its share of every batch's micro-batches and the gradients are summed, so the result is that of one process
up to the order of summation; the main process alone writes and reports.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, reduce
from torch import Tensor

from engine import adapters, checkpoints, memory, processes
from engine.batches import Batch, Tree, micro_batches, shuffled
from engine.errors import UserError
from engine.job import DivergedError, Outcome, Stopped
from engine.options import Optimisation
from engine.spec import Event

if TYPE_CHECKING:
    from engine.job import Job

T = TypeVar("T")

# A micro-batch's sum of losses, and sums of whatever else is to be shown.
Sums = tuple[Tensor, Mapping[str, Tensor]]
# What a method gives `fit` for the trees (numbers) of one micro-batch.
Objective = Callable[[Sequence[int], Batch], Sums]


def fit(
    job: "Job",
    trees: Sequence[Tree],
    objective: Objective,
    *,
    weights: Sequence[float],
    keep: Mapping[str, Tensor] | None = None,
    extra: Mapping[str, Tensor] | None = None,
    order: Sequence[Sequence[int]] | None = None,
    before: "Callable[[Trainer], None] | None" = None,
) -> Outcome:
    """Train the job's adapter on `trees`, epoch by epoch, and return how far it came.

    Losses and metrics are summed over the optimiser's batch and divided by the sum of its `weights`, which
    say what each tree counts: its trained tokens, or 1. `keep` are tensors that the method wants back on
    resuming (`job.checkpoint.part("keep")`). `extra` are float32 leaf tensors on the base's device that are
    trained beside the adapter, a scalar head for one: changed in place, also when the run resumes.
    `order` has the trees (numbers) of each step, `batches` if not given; `before` is called ahead of each
    step's gradients, for what couples a batch's micro-batches. When the loss is not finite it goes back to
    the last good checkpoint and ends there; it raises UserError where there is none.
    """
    options: Optimisation = job.options
    lengths = [job.row_tokens(tree) for tree in trees]
    order = batches(len(trees), options, job.spec.seed) if order is None else order
    trainer = Trainer(job, {**adapters.state(job.base), **(extra or {})}, steps=len(order))

    def sums(numbers: Sequence[int]) -> Sums:
        return objective(numbers, job.collate([trees[i] for i in numbers]))

    try:
        for batch in order[trainer.step :]:
            if stopped := trainer.pause(keep or {}):
                return Outcome(trainer.step, stopped)
            if before:
                before(trainer)
            cut = partial(micro_batches, batch, lengths)
            shown = trainer.gradients(cut, sums, total=sum(weights[i] for i in batch))
            rate = learning_rate(options.learning_rate, trainer.step, trainer.steps, options.warmup)
            trainer.update(shown, rate, tokens=sum(trees[i].length for i in batch))
    except DivergedError as end:
        return Outcome(end.step, "", failure=end)
    return Outcome(trainer.step, "")


def batches(rows: int, options: Optimisation, seed: int) -> list[list[int]]:
    """The rows (numbers) of each optimiser step of a run."""
    size = options.batch_size
    orders = shuffled(rows, options.epochs, seed)
    return [order[i : i + size] for order in orders for i in range(0, rows, size)]


class Trainer:
    """Moves named tensors by AdamW, step by step: gradients, updates, checkpoints, events, stopping.

    `tensors` are float32 leaves on the base's device, changed in place. Made once per run, after all that
    draws random numbers before the first step; it goes on from the job's checkpoint. `step` says how many
    optimiser steps are done, `steps` how many there will be. One step is `pause`, `gradients`, `update`, in
    this order and on every process.
    """

    def __init__(
        self, job: "Job", tensors: Mapping[str, Tensor], *, steps: int, epsilon: float = 1e-8
    ) -> None:
        self.job, self.tensors, self.steps = job, dict(tensors), steps
        for tensor in self.tensors.values():
            tensor.requires_grad_(True)
        self.options: Optimisation = job.options
        self.process = PartialState()
        self.optimizer = torch.optim.AdamW(
            self.tensors.values(),
            lr=self.options.learning_rate,
            eps=epsilon,
            weight_decay=self.options.weight_decay,
            fused=True,
        )
        self._emit(
            "plan",
            steps=steps,
            epochs=self.options.epochs,
            trainable=sum(tensor.numel() for tensor in self.tensors.values()),
            parameters=job.base.parameters,
            precision=job.base.precision,
            device=str(job.base.device),
        )
        if self.process.process_index:  # else every process would drop out the same units
            torch.manual_seed(job.spec.seed + self.process.process_index)
        self.step = self._restore()
        self._saved = self.step if job.checkpoint else -1
        self._began = time.perf_counter()

    def pause(self, keep: Mapping[str, Tensor]) -> Stopped:
        """Between two steps: save if it is time to, or if the run is to end; why it is to end, if it is.

        `keep` is what the caller wants back on resuming, as `job.checkpoint.part("keep")`.
        """
        asked: Stopped = processes.from_main(self.job.should_stop())
        due = self.step % self.options.save_every == 0  # step 0 too: a run that diverges goes back to it
        if asked or due:
            self.save(keep)
        self._began = time.perf_counter()
        return asked

    def save(self, keep: Mapping[str, Tensor]) -> None:
        """Write a checkpoint of this step, with `keep` as for `pause`, unless there is one.

        A rehearsal leaves none.
        """
        if self.step == self._saved or self.job.narrow:
            return
        self._saved = self.step
        generators = gather_object([checkpoints.generators()])
        if not self.process.is_main_process:
            return
        names = list(self.tensors)
        moments = {
            f"{names[number]}/{key}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }
        parts = {"trained": self.tensors, "optimizer": moments, "keep": keep, "room": self.job.room.tensors()}
        job, tensors = self.job, _joined(parts.items())
        folder = checkpoints.save(job.checkpoints, self.step, tensors, generators, job.identity)
        self._emit("checkpoint", step=self.step, folder=str(folder))

    def gradients(
        self, cut: Callable[[int], Sequence[T]], sums: Callable[[T], Sums], *, total: float
    ) -> dict[str, Tensor]:
        """Give the tensors the gradient of the batch's loss: Σ over its micro-batches, divided by `total`.

        `cut` cuts the batch into micro-batches of at most so many tokens, the same on every process; `sums`
        gives one's sums. When memory runs out it is done again with less at a time (`engine.memory`).
        Returns the batch's "loss" and metrics, likewise divided.
        """
        shown = memory.fitting(self.job, cut, lambda groups: self._share(groups, sums, total))
        if self.process.num_processes > 1:
            for tensor in self.tensors.values():
                tensor.grad = self.total(torch.zeros_like(tensor) if tensor.grad is None else tensor.grad)
        return {name: self.total(value) for name, value in shown.items()}

    def _share(self, groups: Sequence[T], sums: Callable[[T], Sums], total: float) -> dict[str, Tensor]:
        """This process's part of the gradient and of what is shown."""
        result = dict[str, Tensor]()
        self.optimizer.zero_grad(set_to_none=True)  # what a try that ran out of memory has left
        base = self.job.base
        # a process without work takes part with nothing
        even = base.shards is not None or len(groups) < self.process.num_processes
        for group, counts in processes.dealt(groups, even=even):
            share = counts / total
            with adapters.learning(base):
                with base.autocast():
                    loss, metrics = sums(group)
                (loss * share).backward()
            for name, value in {"loss": loss, **metrics}.items():
                result[name] = result.get(name, 0) + value.detach().float() * share
        return result

    def total(self, value: Tensor) -> Tensor:
        """The sum of `value` over the processes."""
        return reduce(value, "sum") if self.process.num_processes > 1 else value

    def update(self, shown: Mapping[str, Tensor], rate: float, *, tokens: int) -> dict[str, float]:
        """Clip the gradients, make one optimiser step at the learning rate `rate`, and report it.

        `shown` has the "loss" and the metrics. Raises UserError, before a weight moves, when the loss or
        the gradient is not finite. Returns the metrics as numbers.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.tensors.values(), self.options.max_grad_norm)
        numbers = torch.stack([*shown.values(), norm]).tolist()
        metrics = dict(zip([*shown, "grad_norm"], numbers, strict=True))
        loss, grad_norm = metrics.pop("loss"), metrics.pop("grad_norm")
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise self.diverged("loss")
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._emit(
            "step",
            step=self.step,
            steps=self.steps,
            loss=loss,
            learning_rate=rate,
            grad_norm=grad_norm,
            seconds=time.perf_counter() - self._began,
            tokens=tokens,
            metrics=metrics,
        )
        return metrics

    def diverged(self, what: str) -> UserError:
        """The error to raise when the present weights give something (`what`) that is not finite.

        A checkpoint of these weights goes. Those before it are good, because a step from them was made: the
        weights are the newest's again, and the error is DivergedError, unless there is none.
        """
        job = self.job
        if self.process.is_main_process:
            checkpoints.discard(job.checkpoints, self.step)
        processes.from_main(None)  # the others look for the newest when it is gone
        if not self.step:
            return UserError(
                f"The {what} is no number at the first step: the weights that the run starts from give none.",
                do="Try precision fp32, look at the data for odd rows, or start from another model.",
            )
        good = checkpoints.latest(job.checkpoints, job.identity, job.warn)
        kept = checkpoints.last_good(job.checkpoints)
        if good and good.step:
            kept = f"{kept} Its weights are the run's adapter, to use or to go on from."
        elif good:
            kept = f"{kept} Nothing is learnt in it: the run's adapter is what it started from."
        error = UserError(
            f"The {what} is no longer a number at step {self.step + 1} of {self.steps}.",
            kept=kept,
            do="Lower the learning rate; if that does not help, look at the data for odd rows.",
        )
        if good is None:
            return error
        self._put_back(good)
        return DivergedError(error, good.step)

    def _put_back(self, checkpoint: checkpoints.Checkpoint) -> None:
        with torch.no_grad():
            for name, value in checkpoint.part("trained").items():
                self.tensors[name].copy_(value)

    def _restore(self) -> int:
        """Go back to the job's checkpoint, if it has one; the steps that were done."""
        checkpoint = self.job.checkpoint
        if checkpoint is None:
            return 0
        self._put_back(checkpoint)
        moments = checkpoint.part("optimizer")
        state = {
            number: {key: moments[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            for number, name in enumerate(self.tensors)
            if f"{name}/step" in moments
        }
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self._restore_generators(checkpoint.generators)
        return checkpoint.step

    def _restore_generators(self, states: Sequence[checkpoints.Generators]) -> None:
        if len(states) != self.process.num_processes:
            self.job.warn(
                f"The checkpoint was made by {len(states)} processes, and now there are "
                f"{self.process.num_processes}: the run goes on, but not to the last bit as it would have."
            )
        if self.process.process_index < len(states):
            checkpoints.restore_generators(states[self.process.process_index])

    def _emit(self, kind: str, **data: object) -> None:
        self.job.emit(Event(kind, data))  # type: ignore[arg-type]


def learning_rate(highest: float, step: int, steps: int, warmup: float) -> float:
    """The rate of optimiser step `step` (from 0): linearly up for `warmup` · steps, then linearly to 0."""
    rising = round(warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    return highest * (steps - step) / max(1, steps - rising)


def _joined(parts: Iterable[tuple[str, Mapping[str, Tensor]]]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for part, tensors in parts for name, tensor in tensors.items()}
