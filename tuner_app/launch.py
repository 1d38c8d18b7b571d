"""Before a run: everything checked, its data frozen, the run written down. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, Method, Precision, Spec, method_named, options_from
from tuner_app import bases, settings
from tuner_app.paths import Home
from tuner_app.store import Store, models, runs, snapshots
from tuner_app.store.rows import AdapterRow, Base, Run, Summary
from tuner_app.store.selection import Selection

RESERVED = ("base", bases.BUILTIN)  # names that chat gives to the base alone
FEWEST = 2  # rows that the engine trains on
WHERE_FROM = {
    "demonstration": "Correct an answer in the chat, or import conversations",
    "pair": "Choose between two answers in the chat, or import pairs",
    "rated": "Give answers a thumb up or down in the chat, or import rated replies",
}


@dataclass(frozen=True)
class Plan:
    """A run as a person asks for it.

    `base` is `builtin`, a name that the store knows, a folder or a hub name; "" is the parent's, or else
    the one in the settings. `parent` is the adapter to go on from; `name` "" takes the next free one.
    """

    method: str
    base: str = ""
    parent: str = ""
    name: str = ""
    selection: Selection = field(default_factory=Selection)
    adapter: Adapter = field(default_factory=Adapter)
    precision: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def prepare(store: Store, home: Home, plan: Plan) -> Run:
    """Check the plan, freeze its data and write the run down, ready for `supervisor.start_run`.

    Raises UserError, and writes no run, when it could not work: an unknown method or option, no such base, a
    parent of another base, too little data, a name that is taken.
    """
    method, base, parent, _ = check(store, home, plan)
    if not bases.has_template(base.source):
        bases.write_fallback(home, base)
    spec = Spec(
        method=method.name,
        base=base.source,
        parent=parent.folder if parent else None,
        adapter=plan.adapter,
        precision=_precision(plan.precision),
        options=vars(options_from(method, plan.options)),
        template=bases.template_override(home, base),
        seed=plan.seed,
    )
    snapshot = snapshots.take(store, method.kind, plan.selection)
    return runs.create(
        store,
        name=plan.name or None,
        spec=spec.to_json(),
        base_id=base.id,
        parent_id=parent.id if parent else None,
        snapshot_hash=snapshot.hash,
    )


def check(store: Store, home: Home, plan: Plan) -> tuple[Method, Base, AdapterRow | None, Summary]:
    """All that `prepare` checks, and what the run would work with: method, base, parent, data."""
    method = method_named(plan.method)
    options_from(method, plan.options)
    _precision(plan.precision)
    _check_adapter(plan.adapter)
    if plan.name.lower() in RESERVED:
        raise UserError(f"“{plan.name}” is what chat calls the base itself.", do="Give the run another name.")
    parent = _parent(store, plan)
    base = bases.register(store, plan.base or _base_of(store, parent) or settings.load(home).base)
    if parent and parent.base_id != base.id:
        raise UserError(
            f"The adapter {parent.name} was trained on {_base_of(store, parent)}, not on {base.name}.",
            do=f"Leave the base out, or name {_base_of(store, parent)}.",
        )
    if parent and not (home.folder / parent.folder).is_dir():
        raise UserError(
            f"The files of the adapter {parent.name} are gone: there is no {home.folder / parent.folder}.",
            do="Start from the base, or from another adapter.",
        )
    return method, base, parent, _data(store, method, plan.selection)


def _data(store: Store, method: Method, selection: Selection) -> Summary:
    summary = snapshots.available(store, method.kind, selection)
    if summary.examples >= FEWEST:
        return summary
    kinds = "rated replies" if method.kind == "rated" else f"{method.kind}s"
    every = snapshots.available(store, method.kind).examples
    elsewhere = f" here, {every} without this selection" if every > summary.examples else ""
    raise UserError(
        f"{method.name.upper()} learns from {kinds}: it takes at least {FEWEST}, and there "
        f"{'is' if summary.examples == 1 else 'are'} {summary.examples}{elsewhere}.",
        kept="Nothing was started.",
        do="Widen the selection." if every >= FEWEST else f"{WHERE_FROM[method.kind]} (tuner import FILE).",
    )


def _parent(store: Store, plan: Plan) -> AdapterRow | None:
    if not plan.parent:
        return None
    found = models.adapter(store, plan.parent)
    if found is None:
        names = ", ".join(row.name for row in models.adapters(store)) or "none yet"
        raise UserError(f"There is no adapter “{plan.parent}” to go on from.", do=f"Adapters: {names}.")
    return found


def _base_of(store: Store, adapter: AdapterRow | None) -> str:
    return next((row.name for row in models.bases(store) if adapter and row.id == adapter.base_id), "")


def _precision(name: str) -> Precision:
    if name not in PRECISIONS:
        raise UserError(f"There is no precision “{name}”.", do=f"Choose one of: {', '.join(PRECISIONS)}.")
    return name  # type: ignore[return-value]


def _check_adapter(adapter: Adapter) -> None:
    if adapter.rank < 1 or adapter.alpha < 1:
        raise UserError("An adapter's rank and alpha are at least 1.")
    if not 0 <= adapter.dropout < 1:
        raise UserError("An adapter's dropout is from 0 up to, but not including, 1.")
