"""The training loop: optimiser steps over micro-batches, checkpoints, events, and stopping.

On several processes (`accelerate launch`) each takes its share of every batch's micro-batches and the
adapter's gradients are summed, so the result is that of one process up to the order of summation.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from engine import adapters, checkpoints
from engine.batches import Batch, Tree, micro_batches, shuffled
from engine.errors import UserError
from engine.job import Outcome
from engine.models import out_of_memory
from engine.options import Optimisation
from engine.spec import Event

if TYPE_CHECKING:
    from engine.job import Job

# What a method gives the loop for the trees (numbers) of one micro-batch: the sum of their losses, and sums
# of whatever else it wants shown. Both are divided by the weights' sum over the optimiser's batch.
Objective = Callable[[Sequence[int], Batch], tuple[Tensor, Mapping[str, Tensor]]]


def fit(
    job: "Job",
    trees: Sequence[Tree],
    objective: Objective,
    *,
    weights: Sequence[int],
    keep: Mapping[str, Tensor] | None = None,
) -> Outcome:
    """Train the job's adapter on `trees` and return how far it came.

    `weights` is what each tree counts in the mean: its trained tokens, or 1. `keep` are tensors that the
    method wants back on resuming (`job.checkpoint.part("keep")`). Raises UserError, with the last good
    checkpoint named, when the loss is not finite or memory runs out.
    """
    run = _Run(job, trees, objective, weights, keep or {})
    try:
        return run.go()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(
            "Memory ran out during training.",
            kept=checkpoints.last_good(job.checkpoints),
            do="Lower micro_tokens or max_length, or train with precision nf4.",
        ) from error


class _Run:
    def __init__(
        self,
        job: "Job",
        trees: Sequence[Tree],
        objective: Objective,
        weights: Sequence[int],
        keep: Mapping[str, Tensor],
    ) -> None:
        self.job, self.trees, self.objective, self.weights, self.keep = job, trees, objective, weights, keep
        self.options: Optimisation = job.options
        self.accelerator = Accelerator(cpu=job.base.device.type == "cpu")
        self.adapter = adapters.state(job.base.model)
        self.optimizer = torch.optim.AdamW(
            self.adapter.values(),
            lr=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
            fused=True,
        )
        self.lengths = [job.row_tokens(tree) for tree in trees]
        size = self.options.batch_size
        self.batches = [
            order[i : i + size]
            for order in shuffled(len(trees), self.options.epochs, job.spec.seed)
            for i in range(0, len(order), size)
        ]

    def go(self) -> Outcome:
        steps = len(self.batches)
        self._plan(steps)
        step = self._resume()
        while step < steps:
            if stopped := self._asked_to_stop():
                self._save(step)
                return Outcome(step, stopped)
            self._step(step)
            step += 1
            if step % self.options.save_every == 0 and step < steps:
                self._save(step)
        return Outcome(steps, "")

    def _step(self, step: int) -> None:
        began = time.perf_counter()
        job, batch, steps = self.job, self.batches[step], len(self.batches)
        rate = learning_rate(self.options.learning_rate, step, steps, self.options.warmup)
        self.optimizer.param_groups[0]["lr"] = rate
        sums = self._gradients(batch)
        norm = self.accelerator.clip_grad_norm_(self.adapter.values(), self.options.max_grad_norm)
        names = [*sums, "grad_norm"]
        shown = dict(zip(names, torch.stack([*sums.values(), norm]).tolist(), strict=True))
        loss, grad_norm = shown.pop("loss"), shown.pop("grad_norm")
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise UserError(
                f"The loss is no longer a number at step {step + 1} of {steps}.",
                kept=checkpoints.last_good(job.checkpoints),
                do="Lower the learning rate; if that does not help, look at the data for odd rows.",
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._emit(
            "step",
            step=step + 1,
            steps=steps,
            loss=loss,
            learning_rate=rate,
            grad_norm=grad_norm,
            seconds=time.perf_counter() - began,
            tokens=sum(self.trees[i].length for i in batch),
            metrics=shown,
        )

    def _gradients(self, batch: Sequence[int]) -> dict[str, Tensor]:
        """Put the gradient of the batch's mean loss into the adapter; return the mean loss and metrics."""
        job, process = self.job, self.accelerator
        total = sum(self.weights[i] for i in batch)
        sums: dict[str, Tensor] = {}
        groups = micro_batches(batch, self.lengths, job.micro_tokens)
        mine = groups[process.process_index :: process.num_processes]
        share = 1 / total if mine else 0.0  # a process without work takes part with nothing
        for numbers in mine or groups[:1]:
            rows = job.collate([self.trees[i] for i in numbers])
            with job.base.autocast():
                loss, metrics = self.objective(numbers, rows)
            process.backward(loss * share)
            for name, value in {"loss": loss, **metrics}.items():
                sums[name] = sums.get(name, 0) + value.detach().float() * share
        if process.num_processes > 1:
            for parameter in self.adapter.values():
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = process.reduce(gradient, "sum")
            sums = {name: process.reduce(value, "sum") for name, value in sums.items()}
        return sums

    def _asked_to_stop(self) -> Literal["", "stop", "pause"]:
        """What the main process is asked; the others do as it does."""
        asked = [self.job.should_stop() if self.accelerator.is_main_process else ""]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(asked)
        return asked[0]

    def _save(self, step: int) -> None:
        if not self.accelerator.is_main_process:
            return
        names = list(self.adapter)
        moments = {
            f"optimizer/{names[number]}/{key}": value
            for number, state in self.optimizer.state_dict()["state"].items()
            for key, value in state.items()
        }
        weights = {f"adapter/{name}": value for name, value in self.adapter.items()}
        kept = {f"keep/{name}": value for name, value in self.keep.items()}
        folder = checkpoints.save(
            self.job.checkpoints, step, {**weights, **moments, **kept}, self.job.identity
        )
        self._emit("checkpoint", step=step, folder=str(folder))

    def _resume(self) -> int:
        checkpoint = self.job.checkpoint
        if checkpoint is None:
            return 0
        with torch.no_grad():
            for name, value in checkpoint.part("adapter").items():
                self.adapter[name].copy_(value)
        moments = checkpoint.part("optimizer")
        state = {
            number: {key: moments[f"{name}/{key}"] for key in ("step", "exp_avg", "exp_avg_sq")}
            for number, name in enumerate(self.adapter)
            if f"{name}/step" in moments
        }
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        checkpoints.restore_generators(checkpoint.generators)
        return checkpoint.step

    def _plan(self, steps: int) -> None:
        self._emit(
            "plan",
            steps=steps,
            epochs=self.options.epochs,
            trainable=sum(parameter.numel() for parameter in self.adapter.values()),
            parameters=self.job.base.parameters,
            precision=self.job.base.precision,
            device=str(self.job.base.device),
        )

    def _emit(self, kind: str, **data: object) -> None:
        self.job.emit(Event(kind, data))  # type: ignore[arg-type]


def learning_rate(highest: float, step: int, steps: int, warmup: float) -> float:
    """The rate of optimiser step `step` (from 0): linearly up for `warmup` · steps, then linearly to 0."""
    rising = round(warmup * steps)
    if step < rising:
        return highest * (step + 1) / rising
    return highest * (steps - step) / max(1, steps - rising)
