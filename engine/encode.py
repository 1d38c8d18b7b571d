"""Examples to trees of tokens, with a count of all that is left out."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from engine import census, layouts
from engine.batches import Branch, Tree
from engine.errors import UserError
from engine.examples import Example, Pair
from engine.kernels import attention_kernel
from engine.spec import Event

if TYPE_CHECKING:
    from engine.job import Job

FEWEST = 2  # rows: with one, a shuffled batch or a held-out row means nothing


def encode(job: "Job", to_tree: Callable[[Example], Tree]) -> "tuple[Job, list[Tree]]":
    """The job's examples as trees, and the job with those examples and its layout settled.

    Nothing is cut: a row longer than `job.max_length`, or without a token to train on, is left out, and
    counted in the "data" event; the "attention" event names the layout, and the kernel that attention ran on
    for the longest row. Raises UserError when too few rows are left.
    """
    trees = [to_tree(example) for example in job.examples]
    counts = census.counted(job.examples, trees, job.max_length, job.template.end_tokens)
    job.emit(Event("data", counts))
    kept = [number for number, tree in enumerate(trees) if census.usable(tree, job.max_length)]
    used = [trees[number] for number in kept]
    left_out = [(job.examples[i], trees[i]) for i in sorted({*range(len(trees))} - {*kept})]
    job = replace(job, examples=[job.examples[number] for number in kept])
    if len(used) < FEWEST:
        raise UserError(
            f"Too few rows to train on: {len(trees)} given, {counts['too_long']} longer than "
            f"{job.max_length} tokens, {counts['no_label']} without a token to train on, {len(used)} left.",
            do=_more_rows(job) if counts["too_long"] else "Label or import more.",
        )
    job = replace(job, layout=layouts.choose(job, used))
    with job.base.autocast():
        kernel = attention_kernel(job.base.model, job.collate([max(used, key=lambda tree: tree.length)]))
    job.emit(Event("attention", {"layout": job.layout, "kernel": kernel}))
    return job.narrow(job, used, left_out) if job.narrow else (job, used)


def _more_rows(job: "Job") -> str:
    """What helps when rows are too long."""
    if job.max_length < job.base.context:
        return "Raise max_length, or label more."
    return "Label or import shorter ones, or choose another base: this one reads no more."


def pair_tree(job: "Job", row: Pair) -> Tree:
    """A prompt with two branches: the chosen reply, then the rejected."""
    prompt, chosen = job.template.reply(row.prompt, row.chosen)
    _, rejected = job.template.reply(row.prompt, row.rejected)
    return Tree(prompt, [Branch.reply(chosen), Branch.reply(rejected)])
