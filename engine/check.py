"""Before a run: what its rows are, token by token, and what one real step of it takes.

The method itself trains, on the rows of the longest micro-batch alone (on several processes one for each)
and in a folder that is then thrown away: what is measured is what a run does, and nothing of it is left.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from accelerate import PartialState

from engine import job as jobs
from engine import mask, models, usage
from engine.batches import Tree, micro_batches
from engine.encode import FEWEST
from engine.errors import UserError
from engine.examples import Example, Rated, prompt_of
from engine.findings import Findings, Part, Run, Step
from engine.job import Job, Row
from engine.loop import batches
from engine.reference import unknown
from engine.spec import Emit, Event, ReferenceCache, Spec, method_named, refuse_unready
from engine.template import template_for

SHOWN = 12  # rows of which every token is shown
LEFT_OUT = 5  # rows that are left out, of which it is shown too


def check(
    spec: Spec,
    rows: Sequence[Example],
    *,
    emit: Emit,
    reference_cache: ReferenceCache | None = None,
    sharded: bool = False,
) -> Findings:
    """Do what a run by `spec` on `rows` would begin with, and leave no trace.

    `emit` gets the events of the rehearsal; of the `reference_cache` it is only asked what it has. Of
    several processes all call this together, as they would `engine.job.run`, with `sharded` as there; the
    main one has the cache. Raises UserError for all that would keep the run from starting or its first step
    from fitting into memory.
    """
    refuse_unready(spec)
    with tempfile.TemporaryDirectory() as folder:
        emit(Event("loading", {"what": spec.base}))
        base = models.load(spec.base, spec.precision, sharded=sharded)
        PartialState(cpu=base.device.type == "cpu")
        rehearsal = Rehearsal(emit, reference_cache)
        job = jobs.prepared(base, spec, rows, Path(folder), rehearsal.listen, lambda: "", None, None)
        rehearsal.memory = usage.Gauge(base.device)
        try:
            jobs.carried_out(replace(job, narrow=rehearsal.narrow))
        except UserError as error:
            raise UserError(error.what, kept="Nothing was started.", do=error.do) from error
        return rehearsal.findings()


@dataclass
class Rehearsal:
    """What is seen of a run while it trains on the rows of its longest micro-batch."""

    emit: Emit
    cache: ReferenceCache | None
    memory: usage.Gauge | None = None
    events: list[tuple[float, Event]] = field(default_factory=list)
    _narrowed: bool = False

    def listen(self, event: Event) -> None:
        """Take note of an event, and pass it on.

        What the method tells once it has only a few rows left is about these few, and is no news; that
        memory ran out is.
        """
        if event.kind in ("note", "warning") and self._narrowed and "micro_tokens" not in event.data:
            return
        self.events.append((perf_counter(), event))
        self.emit(event)

    def narrow(self, job: Job, trees: list[Tree], left_out: list[Row]) -> tuple[Job, list[Tree]]:
        """Look at all rows, then go on with those of the longest micro-batch, twice: the first warms up."""
        self.job, self.trees, self.left_out = job, trees, left_out
        self.rows = longest(job, trees)
        self.reference = self._unknown(job, trees, self.cache)
        self._narrowed = True
        few = {"batch_size": len(self.rows), "epochs": 2}
        if hasattr(job.options, "rollout_batch"):  # a phase of PPO, whose replies are drawn all at once
            few = {"rollout_batch": len(self.rows), "epochs": 1}
            few["batch_size"] = min(job.options.batch_size, len(self.rows))
        examples = [job.examples[i] for i in self.rows]
        job = replace(job, options=replace(job.options, **few), examples=examples)
        trees = [trees[i] for i in self.rows]
        self.rehearsed = self._unknown(job, trees, None)
        return job, trees

    def _unknown(self, job: Job, trees: list[Tree], cache: ReferenceCache | None) -> tuple[int, int]:
        """Rows and tokens of the reference pass over `trees`."""
        references = method_named(job.spec.method).references
        return unknown(job, references(job, trees), cache) if references else (0, 0)

    def findings(self) -> Findings:
        """All that was seen."""
        assert self.memory
        job = self.job
        budget = job.room.micro_tokens
        lengths = [job.row_tokens(tree) for tree in self.trees]
        tokens = padded(self.rows, lengths, budget)
        used = self.memory.of_all()
        step = Step(len(self.rows), tokens, self._step_seconds(), used.taken, PartialState().num_processes)
        run = estimate(
            step,
            order=batches(len(self.trees), job.options, job.spec.seed),
            passes=getattr(job.options, "ppo_epochs", 1),
            lengths=lengths,
            budget=budget,
            reference_rows=self.reference[0],
            reference_seconds=self._reference_seconds() * self.reference[1] / max(1, self.rehearsed[1]),
            ahead=self._seconds_ahead(),
            memory=used.peak,
            available=used.available,
        )
        titles, shown = self._shown()
        return Findings(
            method=job.spec.method,
            data=self._of("data")[0][1],
            attention=self._of("attention")[0][1],
            plan=self._of("plan")[0][1],
            template=template_in_words(job),
            warnings=[data["message"] for _, data in self._of("warning")],
            titles=titles,
            rows=shown,
            step=step,
            run=run,
        )

    def _of(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [(when, event.data) for when, event in self.events if event.kind == kind]

    def _step_seconds(self) -> float:
        """Seconds of one pass over the rows: the second one, where there are two."""
        steps = [data["seconds"] for _, data in self._of("step")]
        epochs = self._of("plan")[0][1]["epochs"]
        return float(sum(steps[len(steps) * (epochs - 1) // epochs :]))

    def _seconds_ahead(self) -> float:
        """Seconds between the plan and the first step: PPO's, for the starting model's own replies."""
        when, first = self._of("step")[0]
        return when - float(first["seconds"]) - self._of("plan")[0][0]

    def _reference_seconds(self) -> float:
        times = [when for when, _ in self._of("reference")]
        return times[-1] - times[0] if times else 0.0

    def _shown(self) -> tuple[list[str], list[list[Part]]]:
        """The first rows, the longest, and some that are left out: what to call them, and their parts."""
        lengths = [tree.longest for tree in self.trees]
        longest, most = lengths.index(max(lengths)), self.job.max_length
        titles, rows = [], []
        for i in dict.fromkeys([*range(min(SHOWN, len(lengths))), longest]):
            titles.append(f"row {i + 1}, {lengths[i]:,} tokens" + (", the longest" if i == longest else ""))
            rows.append((self.job.examples[i], self.trees[i]))
        for example, tree in self.left_out[:LEFT_OUT]:
            long = f"{tree.longest:,} tokens, and max_length is {most:,}"
            why = long if tree.longest > most else "it has no token to train on"
            titles.append(f"a row that is left out: {why}")
            rows.append((example, tree))
        return titles, [mask.parts(self.job.base.tokenizer, *row) for row in rows]


def longest(job: Job, trees: Sequence[Tree]) -> list[int]:
    """The trees (numbers) of the largest micro-batches that an optimiser's batch can have: as many as the
    method holds, for each process.

    The two longest trees are among them, and of rated replies one of each kind, because a method may need
    them. Of prompts it is those of a whole phase, whose replies are drawn together.
    """
    lengths = [job.row_tokens(tree) for tree in trees]
    ranked = sorted(range(len(trees)), key=lambda i: (-lengths[i], i))
    phase = getattr(job.options, "rollout_batch", 0)
    if phase:
        return ranked[:phase]
    groups = micro_batches(ranked[: job.options.batch_size], lengths, job.room.micro_tokens)
    count = PartialState().num_processes * method_named(job.spec.method).held
    largest = sorted(groups, key=lambda group: -_tokens(group, lengths))[:count]
    chosen = list(dict.fromkeys([*ranked[:FEWEST], *chain(*largest)]))
    for good in (True, False):
        of_kind = [i for i in ranked if _is_rated(job.examples[i], good)]
        if of_kind and not set(of_kind) & set(chosen):
            chosen.append(of_kind[0])
    return chosen


def _is_rated(example: Example, good: bool) -> bool:
    return isinstance(example, Rated) and example.good is good


def padded(rows: Sequence[int], lengths: Sequence[int], budget: int) -> int:
    """Tokens that go through the model for `rows`, the padding of their micro-batches counted."""
    return sum(_tokens(group, lengths) for group in micro_batches(rows, lengths, budget))


def _tokens(group: Sequence[int], lengths: Sequence[int]) -> int:
    return len(group) * max(lengths[i] for i in group)


def estimate(
    step: Step,
    *,
    order: Sequence[Sequence[int]],
    passes: int,
    lengths: Sequence[int],
    budget: int,
    reference_rows: int,
    reference_seconds: float,
    ahead: float,
    memory: int,
    available: int,
) -> Run:
    """The run by its measured step: as many seconds per token, padding counted, as the step took.

    That is a little too much, because attention costs more per token in the longest rows. `order` are the
    rows of each optimiser step, and PPO makes `passes` steps on them. Ahead of them come a reference pass
    over `reference_rows` rows, and `ahead` seconds. No micro-batch needs more memory than the longest, so the
    run's peak is the step's.
    """
    tokens = sum(padded(batch, lengths, budget) for batch in order)
    return Run(
        steps=len(order) * passes,
        tokens=tokens,
        seconds=step.seconds * tokens / step.tokens + reference_seconds + ahead,
        reference_rows=reference_rows,
        reference_seconds=reference_seconds,
        memory=memory,
        available=available,
    )


def template_in_words(job: Job) -> str:
    """How the run's template differs from the tokenizer's own, which chat uses for the base; "" if not."""
    own = template_for(job.base.tokenizer, end_tokens=job.base.end_tokens)
    if job.template.text == own.text:
        return ""
    prompts = [prompt_of(example) for example in job.examples]
    other = sum(
        job.template.prompt(row.prompt, row.tools) != own.prompt(row.prompt, row.tools) for row in prompts
    )
    where = "TRL's training version" if job.template.source == "trl" else "one given for this base"
    read = f"{other} of {len(prompts)} prompts read otherwise" if other else "every prompt reads the same"
    return f"The run's chat template is not the model's own, but {where}: {read}."
