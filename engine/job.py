"""A run: a base is loaded, an adapter is put on it, a method trains it, and the adapter is saved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from accelerate import PartialState

from engine import adapters, checkpoints, layouts, low_rank, memory, models, processes
from engine.batches import Batch, Layout, Tree, collate
from engine.errors import UserError
from engine.examples import Example, digest, kind_of, to_json
from engine.spec import (
    Emit,
    Event,
    Gold,
    Method,
    ReferenceCache,
    ShouldStop,
    Spec,
    method_named,
    options_from,
    refuse_sharded,
    refuse_unready,
)
from engine.template import Template, template_for

if TYPE_CHECKING:
    from engine.heads import RewardHead

Stopped = Literal["", "stop", "pause"]


@dataclass(frozen=True)
class Outcome:
    """How far a method came: optimiser steps done, and why it ended before the last, if it did.

    `head` is what makes the adapter a reward model, None for one that writes. `failure`: why it went back to
    `steps`, the last that was good.
    """

    steps: int
    stopped: Stopped
    head: "RewardHead | None" = None
    failure: "DivergedError | None" = None


class Interrupted(Exception):  # noqa: N818  it is no error
    """The run was asked to end (`why`) in the middle of something that is done anew when it goes on."""

    def __init__(self, why: Stopped) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True)
class Result:
    """What a run left: the adapter's folder and hash. A paused run has written none yet: its hash is ""."""

    folder: Path
    hash: str
    steps: int
    stopped: Stopped


class DivergedError(UserError):
    """A run's weights gave no numbers any more, and it went back to its last good checkpoint, of `step`.

    It makes an adapter of that, as if it had been stopped there, and then raises this with the `result`.
    """

    def __init__(self, error: UserError, step: int) -> None:
        super().__init__(error.what, kept=error.kept, do=error.do)
        self.step = step
        self.result: Result | None = None


Row = tuple[Example, Tree]  # an example, and what it is in tokens


@dataclass(frozen=True)
class Job:
    """All that a method's `train` needs.

    `base.model` carries the adapter, ready to train. `parent` is the hash of the adapter it goes on from,
    "" when it is fresh. `takes_trees`: whether the model can be given the tree layout; `layout` says how the
    run's trees are laid out (`engine.encode` settles it). `identity` names the specification with its data;
    `checkpoint` is where to resume; `room`: how much is computed at once.
    A rehearsal (`engine.check`) gets the trees of all rows through `narrow`, with the rows that are left out,
    and goes on with a few of them.
    """

    spec: Spec
    options: Any
    examples: Sequence[Example]
    folder: Path
    base: models.Base
    template: Template
    parent: str
    takes_trees: bool
    layout: Layout
    identity: str
    checkpoint: checkpoints.Checkpoint | None
    room: memory.Room
    emit: Emit
    should_stop: ShouldStop
    reference_cache: ReferenceCache | None
    gold: Gold | None
    narrow: "Callable[[Job, list[Tree], list[Row]], tuple[Job, list[Tree]]] | None" = None

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.folder / "checkpoints"

    @property
    def max_length(self) -> int:
        """The longest sequence in tokens, prompt and reply together, that is trained on."""
        return min(self.options.max_length or self.base.context, self.base.context)

    def row_tokens(self, tree: Tree) -> int:
        """How many tokens of a micro-batch a tree takes up."""
        return tree.tokens(self.layout)

    def collate(self, trees: Sequence[Tree]) -> Batch:
        """Tensors for `trees`, in the run's layout."""
        return collate(trees, layout=self.layout, device=self.base.device, dtype=self.base.dtype)

    def heed(self) -> None:
        """Raise Interrupted if the run is to end; to be called on every process."""
        if why := processes.from_main(self.should_stop()):
            raise Interrupted(why)

    def heed_alone(self) -> None:
        """`heed` where several processes are out of step: these cannot agree there, and go on."""
        if PartialState().num_processes == 1:
            self.heed()

    def note(self, message: str) -> None:
        """Tell a person something worth knowing that is no cause for alarm."""
        self.emit(Event("note", {"message": message}))

    def warn(self, message: str) -> None:
        """Tell a person something that the run goes on in spite of."""
        self.emit(Event("warning", {"message": message}))


def run(
    spec: Spec,
    rows: Sequence[Example],
    folder: Path,
    *,
    emit: Emit,
    should_stop: ShouldStop,
    reference_cache: ReferenceCache | None = None,
    gold: Gold | None = None,
    sharded: bool = False,
) -> Result:
    """Carry out `spec` on `rows`, in the run's `folder`: checkpoints below it, the result in `adapter`.

    Resumes from the newest good checkpoint in `folder`. Reports through `emit` and asks `should_stop()`
    between optimiser steps. `gold` says how good a reply really is, where that can be known: a method that
    draws replies shows it. `sharded`: each of several processes holds its part of the base. Raises UserError
    for all that a person can cause; a run that raises has written no adapter, unless it is DivergedError.
    """
    refuse_unready(spec)
    emit(Event("loading", {"what": spec.base}))
    base = models.load(spec.base, spec.precision, sharded=sharded)
    return train(
        base,
        spec,
        rows,
        folder,
        emit=emit,
        should_stop=should_stop,
        reference_cache=reference_cache,
        gold=gold,
    )


def train(
    base: models.Base,
    spec: Spec,
    rows: Sequence[Example],
    folder: Path,
    *,
    emit: Emit,
    should_stop: ShouldStop,
    reference_cache: ReferenceCache | None = None,
    gold: Gold | None = None,
) -> Result:
    """`run` on a base that is loaded already and carries no adapter yet.

    Of several processes only the main one reports, writes, and uses the cache.
    """
    processes.refuse_sharding()
    process = PartialState(cpu=base.device.type == "cpu")
    if not process.is_main_process:
        emit, reference_cache, gold = _in_silence, None, None
    job = prepared(base, spec, rows, folder, emit, should_stop, reference_cache, gold)
    step = job.checkpoint.step if job.checkpoint else 0
    processes.agree({"base": base.fingerprint, "specification or data": job.identity, "checkpoint": step})
    outcome = carried_out(job)
    target = folder / "adapter"
    hash = ""
    if outcome.stopped != "pause" and process.is_main_process:
        adapters.save(base, spec, job.template.text, target, outcome.head)
        hash = adapters.hash_of(target)
    hash = processes.from_main(hash)
    result = Result(target, hash, outcome.steps, outcome.stopped)
    if outcome.failure:
        outcome.failure.result = result
        raise outcome.failure
    done = {"step": outcome.steps, "folder": str(target), "hash": hash, "stopped": outcome.stopped}
    emit(Event("done", done))
    return result


def carried_out(job: Job) -> Outcome:
    """Let the method train; a UserError instead of the many kinds of fault that a lack of memory shows as."""
    try:
        with layouts.attention_restored(job.base), layouts.last_block_narrowed(job.base):
            return method_named(job.spec.method).train(job)
    except Interrupted as end:  # a method lets one out before its first step alone
        return Outcome(job.checkpoint.step if job.checkpoint else 0, end.why)
    except DivergedError as end:
        return Outcome(end.step, "", failure=end)
    except (RuntimeError, MemoryError) as error:
        if not models.out_of_memory(error):
            raise
        raise memory.ran_out(job) from error


def _in_silence(event: Event) -> None:
    """An `emit` for processes that are not to report."""


def prepared(
    base: models.Base,
    spec: Spec,
    rows: Sequence[Example],
    folder: Path,
    emit: Emit,
    should_stop: ShouldStop,
    reference_cache: ReferenceCache | None,
    gold: Gold | None,
) -> Job:
    """The job that carries out `spec` on a base that is loaded already; puts the adapter on it."""

    def warn(message: str) -> None:
        emit(Event("warning", {"message": message}))

    method = method_named(spec.method)
    if base.shards:
        refuse_sharded(method)
        held, total = (bytes / 1e6 for bytes in (base.shards.held, base.shards.total))
        emit(Event("note", {"message": f"Each process holds {held:,.1f} of the base's {total:,.1f} MB."}))
    foreign = next((row for row in rows if not isinstance(row, method.learns_from)), None)
    if foreign is not None:
        raise UserError(
            f"{method.title} learns from rows of the kind “{method.kind}”, and there is one of the kind "
            f"“{kind_of(foreign)}” among the data.",
            do="Leave the others out.",
        )
    template = template_for(base.tokenizer, spec.template, end_tokens=base.end_tokens, training=True)
    if template.source == "fallback":
        warn("The model has no chat template; the built-in plain-text one is used. You can give another.")
    if template.source == "trl":
        warn("The model's chat template rewrites earlier turns; TRL's training version of it is used.")
    with base.autocast():
        layouts.check_head(base.model, len(base.tokenizer))
        as_trees = layouts.takes(base.model, len(base.tokenizer), "tree")
    if not as_trees:
        warn("This architecture cannot read several replies in one row: each gets a row of its own (slower).")
    parent = ""
    if spec.parent:
        parent_folder = Path(spec.parent)
        if "reward" in adapters.card(parent_folder) and method.makes != "reward model":
            raise UserError(
                f"{method.title} cannot go on from {parent_folder}: it is a reward model, which "
                "scores replies and writes none.",
                do="Start from the base or an adapter that chats; a reward model can be trained further.",
            )
        kept = adapters.resume(base, parent_folder)
        parent = adapters.hash_of(parent_folder)
        if kept != spec.adapter:
            warn(f"The adapter keeps the shape it has: {kept}.")
    else:
        adapters.add(base, spec.adapter, spec.seed)
        if spec.adapter.kind != "full" and low_rank.has_fused_experts(base.model):
            warn("The base mixes experts: the adapter is on its other layers, the experts stay as they are.")
    options = options_from(method, spec.options)
    settings = {k: v for k, v in spec.to_json().items() if k not in ("base", "parent", "reward")}
    from_what = [base.fingerprint, base.precision, parent, _reward_hash(method, spec)]
    identity = digest([settings, *from_what, [to_json(row) for row in rows]])
    checkpoint = checkpoints.latest(folder / "checkpoints", identity, warn)
    return Job(
        spec=spec,
        options=options,
        examples=rows,
        folder=folder,
        base=base,
        template=template,
        parent=parent,
        takes_trees=as_trees,
        layout="tree" if as_trees else "padded",
        identity=identity,
        checkpoint=checkpoint,
        room=memory.room(options, base, checkpoint),
        emit=emit,
        should_stop=should_stop,
        reference_cache=reference_cache,
        gold=gold,
    )


def _reward_hash(method: Method, spec: Spec) -> str:
    """The hash of the run's reward model, "" for a method without one. Raises UserError where one is missing
    or too many."""
    if method.needs_reward and not spec.reward:
        raise UserError(
            f"{method.title} needs a reward model, and none is named.",
            do="Train one (tuner train reward) and name it with --reward.",
        )
    if spec.reward and not method.needs_reward:
        raise UserError(f"{method.title} takes no reward model.", do="Leave --reward out.")
    return adapters.hash_of(Path(spec.reward)) if spec.reward else ""
