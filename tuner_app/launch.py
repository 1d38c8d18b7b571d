"""Before a run: everything checked, its data frozen, the run written down. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import UserError
from engine.options import Optimisation
from engine.spec import (
    PRECISIONS,
    Adapter,
    Method,
    Precision,
    Spec,
    build,
    method_named,
    options_from,
    refuse_full_over_four_bits,
    refuse_sharded,
    refuse_sharded_kind,
)
from tuner_app import bases, machines, settings
from tuner_app.machines import ALONE, Machines
from tuner_app.paths import Home
from tuner_app.store import Store, models, picking, runs, snapshots
from tuner_app.store.rows import Summary
from tuner_app.store.run_rows import AdapterRow, Base, Run
from tuner_app.store.selection import Selection
from tuner_app.words import PLURALS

RESERVED = ("base", bases.BUILTIN)  # names that chat gives to the base alone
FEWEST = 2  # rows that the engine trains on
FEW_STEPS = 20  # with fewer, an adapter learns next to nothing
MOST_EPOCHS = 10  # with more, it learns a handful of rows by heart
WHERE_FROM = {
    "demonstration": "Correct an answer in the chat, or import conversations",
    "pair": "Choose between two answers in the chat, or import pairs",
    "rated": "Give answers a thumb up or down in the chat, or import rated replies",
    "prompt": "Correct or judge answers in the chat, or import any examples",
}


@dataclass(frozen=True)
class Plan:
    """A run as a person asks for it.

    `base` is `builtin`, a name that the store knows, a folder or a hub name; "" is the parent's, or else
    the one in the settings. `parent` is the adapter to go on from; `reward` the reward model, for a method
    that needs one: "" is the newest of the same base. `name` "" takes the next free one.
    """

    method: str
    base: str = ""
    parent: str = ""
    reward: str = ""
    name: str = ""
    selection: Selection = field(default_factory=Selection)
    adapter: Adapter = field(default_factory=Adapter)
    precision: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Checked:
    """What a plan comes to: the rows of the store that it names, and how much there is to learn from."""

    method: Method
    base: Base
    parent: AdapterRow | None
    reward: AdapterRow | None
    data: Summary


def prepare(store: Store, home: Home, plan: Plan, where: Machines = ALONE) -> Run:
    """Check the plan, freeze its data and write the run down, ready for `supervisor.start_run`.

    `where` its processes are to be.

    Raises UserError, and writes no run, when it could not work: an unknown method or option, no such base, a
    parent of another base, no reward model where one is needed, too little data, a name that is taken.
    """
    found = check(store, home, plan, where)
    base = bases.register(store, found.base.name if found.base.id else found.base.source)
    if not bases.has_template(base.source):
        bases.write_fallback(home, base)
    spec = specification(home, plan, found)
    snapshot = snapshots.take(store, found.method.kind, plan.selection)
    run = runs.create(
        store,
        name=plan.name or None,
        spec=spec.to_json(),
        base_id=base.id,
        parent_id=found.parent.id if found.parent else None,
        reward_id=found.reward.id if found.reward else None,
        snapshot_hash=snapshot.hash,
    )
    runs.emit(store, run.id, "asked", {"data": str(plan.selection)})
    if where.total > 1:
        machines.note(home.run(run.name), where)
    return run


def specification(home: Home, plan: Plan, found: Checked) -> Spec:
    """The run that a checked plan asks for, with folders relative to the home."""
    options = {"epochs": suited_epochs(found.data.examples, plan.options), **plan.options}
    return Spec(
        method=found.method.name,
        base=found.base.source,
        parent=found.parent.folder if found.parent else None,
        adapter=plan.adapter,
        precision=_precision(plan.precision),
        options=vars(options_from(found.method, options)),
        template=bases.template_override(home, found.base),
        seed=plan.seed,
        reward=found.reward.folder if found.reward else None,
    )


def check(store: Store, home: Home, plan: Plan, where: Machines = ALONE) -> Checked:
    """All that `prepare` checks, and what the run would work with. Writes nothing."""
    method = method_named(plan.method)
    options_from(method, plan.options)
    _precision(plan.precision)
    _check_adapter(plan.adapter)
    if where.shard:
        refuse_sharded(method)
        refuse_sharded_kind(plan.adapter.kind)
    if plan.name.lower() in RESERVED:
        raise UserError(f"“{plan.name}” is what chat calls the base itself.", do="Give the run another name.")
    if plan.name:
        runs.check_name(store, plan.name)
    parent = _parent(store, home, method, plan)
    base = bases.find(store, plan.base or _base_of(store, parent) or settings.load(home).base)
    if parent and parent.base_id != base.id:
        raise _on_another_base(store, parent, base, f"Leave the base out, or name {_base_of(store, parent)}.")
    reward = _reward(store, home, method, base, plan.reward)
    for kind in (_kind(store, parent) or plan.adapter.kind, _kind(store, reward)):
        refuse_full_over_four_bits(kind, plan.precision)
    found = Checked(method, base, parent, reward, _data(store, method, plan.selection))
    if method.refuse:
        spec = specification(home, plan, found)
        method.refuse(replace(spec, reward=str(home.folder / reward.folder)) if reward else spec)
    return found


def again(store: Store, run: Run) -> Plan:
    """A plan with the settings of a run, for another one like it; a UserError when a model that it used has
    been deleted since."""

    def name(id: int | None, rows: Sequence[Base | AdapterRow], what: str) -> str:
        named = {row.id: row.name for row in rows}
        if id is not None and id not in named:
            raise UserError(
                f"{what} of {run.name} has been deleted since.",
                kept="Nothing was started.",
                do="Add or choose another (Ctrl+O, Ctrl+T).",
            )
        return "" if id is None else named[id]

    adapters = models.adapters(store)
    asked = runs.events(store, run.id, kinds=["asked"])
    return Plan(
        method=run.method,
        base=name(run.base_id, models.bases(store), "The base"),
        parent=name(run.parent_id, adapters, "The adapter at the start"),
        reward=name(run.reward_id, adapters, "The reward model"),
        selection=Selection.parse(asked[0].data["data"] if asked else ""),
        adapter=Adapter(**run.spec["adapter"]),
        precision=run.spec["precision"],
        options=run.spec["options"],
        seed=run.spec["seed"],
    )


def suited_epochs(rows: int, options: Mapping[str, Any]) -> int:
    """How often to see each of few rows where nobody says: so often that there are `FEW_STEPS` steps."""
    steps = -(-rows // int(options.get("batch_size", Optimisation.batch_size)))
    return min(MOST_EPOCHS, -(-FEW_STEPS // max(1, steps)))


def rewards(store: Store, base_id: int) -> list[AdapterRow]:
    """The reward models of one base, oldest first; before them what failed runs have left, which may know
    nothing yet."""

    def is_sound(row: AdapterRow) -> bool:
        run = runs.get(store, row.name)
        return run is None or run.status != "failed"

    return sorted((row for row in models.adapters(store, base_id) if row.is_reward), key=is_sound)


def parents(store: Store, method: Method) -> list[AdapterRow]:
    """The adapters that a run of the method can go on from: a reward model only to make another."""
    return [row for row in models.adapters(store) if not row.is_reward or method.makes == "reward model"]


def _data(store: Store, method: Method, selection: Selection) -> Summary:
    summary = picking.available(store, method.kind, selection)
    if summary.examples >= FEWEST:
        return summary
    kinds = PLURALS[method.kind]
    every = picking.available(store, method.kind).examples
    elsewhere = f" here, {every} without this selection" if every > summary.examples else ""
    raise UserError(
        f"{method.name.upper()} learns from {kinds}: it takes at least {FEWEST}, and there "
        f"{'is' if summary.examples == 1 else 'are'} {summary.examples}{elsewhere}.",
        kept="Nothing was started.",
        do="Widen the selection." if every >= FEWEST else f"{WHERE_FROM[method.kind]} (tuner import FILE).",
    )


def _parent(store: Store, home: Home, method: Method, plan: Plan) -> AdapterRow | None:
    if not plan.parent:
        return None
    fitting = parents(store, method)
    found = models.adapter(store, plan.parent)
    if found is None or found not in fitting:
        names = ", ".join(row.name for row in fitting) or "none yet"
        raise UserError(
            f"{found.name} is a reward model: it scores answers, and cannot be taught to give any."
            if found
            else f"There is no adapter “{plan.parent}” to go on from.",
            do=f"Adapters: {names}.",
        )
    _require_files(home, found, "Start from the base, or from another adapter.")
    return found


def _reward(store: Store, home: Home, method: Method, base: Base, name: str) -> AdapterRow | None:
    if not method.needs_reward:
        if name:
            raise UserError(f"{method.name.upper()} takes no reward model.", do="Leave it out.")
        return None
    fitting = rewards(store, base.id)
    names = ", ".join(row.name for row in fitting)
    make = f"Train one on pairs: tuner train reward --base {base.name}"
    if not name:
        if not fitting:
            raise UserError(
                f"{method.name.upper()} needs a reward model of {base.name}, and there is none.",
                kept="Nothing was started.",
                do=f"{make}.",
            )
        found = fitting[-1]
    else:
        named = models.adapter(store, name)
        choose = f"Choose one of: {names}." if names else f"{make}."
        if named is None:
            raise UserError(f"There is no reward model “{name}”.", do=choose)
        if not named.is_reward:
            raise UserError(f"{named.name} is no reward model: it has no score to give.", do=choose)
        if named not in fitting:
            raise _on_another_base(store, named, base, choose)
        found = named
    _require_files(home, found, "Choose another reward model, or train one: tuner train reward.")
    return found


def _on_another_base(store: Store, adapter: AdapterRow, base: Base, do: str) -> UserError:
    trained_on = _base_of(store, adapter)
    return UserError(f"The adapter {adapter.name} was trained on {trained_on}, not on {base.name}.", do=do)


def _require_files(home: Home, adapter: AdapterRow, do: str) -> None:
    if not (home.folder / adapter.folder).is_dir():
        raise UserError(
            f"The files of the adapter {adapter.name} are gone: there is no {home.folder / adapter.folder}.",
            do=do,
        )


def _base_of(store: Store, adapter: AdapterRow | None) -> str:
    return next((row.name for row in models.bases(store) if adapter and row.id == adapter.base_id), "")


def _kind(store: Store, adapter: AdapterRow | None) -> str:
    """The adapter's kind, which is that of the first in its line: whatever goes on keeps it; "" for None."""
    known = {row.id: row for row in models.adapters(store)}
    while adapter and adapter.parent_id:
        adapter = known[adapter.parent_id]
    run = runs.get(store, adapter.name) if adapter else None
    return str(run.spec["adapter"]["kind"]) if run else ""


def _precision(name: str) -> Precision:
    if name not in PRECISIONS:
        raise UserError(f"There is no precision “{name}”.", do=f"Choose one of: {', '.join(PRECISIONS)}.")
    return name  # type: ignore[return-value]


def _check_adapter(adapter: Adapter) -> None:
    build(Adapter, vars(adapter), "adapter option")
    if adapter.rank < 1 or adapter.alpha < 1:
        raise UserError("An adapter's rank and alpha are at least 1.")
    if not 0 <= adapter.dropout < 1:
        raise UserError("An adapter's dropout is from 0 up to, but not including, 1.")
