"""All that is known of a run beside its figures, in words: the same in every interface."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.spec import Spec, method_named
from tuner_app import report, words
from tuner_app.paths import Home
from tuner_app.store import Store, models, runs, snapshots
from tuner_app.store.run_rows import Run


def details(store: Store, home: Home, run: Run) -> dict[str, str]:
    """What it was asked to do, on which data, with what, and what is kept of it; by name."""
    spec, events = run.spec, {event.kind: event.data for event in runs.events(store, run.id, kinds=_ONCE)}
    names = {row.id: row.name for row in models.adapters(store)}
    found = {
        "run": run.title,
        "method": run.method,
        "status": f"{run.status} {run.error}".strip(),
        "base": spec["base"],
        "from": names.get(run.parent_id or 0, "the base alone"),
        "reward": names.get(run.reward_id or 0, ""),
        "precision": spec["precision"],
        "adapter": str(Spec.from_json(spec).adapter),
        "options": ", ".join(f"{k}={v}" for k, v in spec["options"].items()) or "defaults",
        "changed": ", ".join(_changed(run)) or "nothing: all options are the defaults",
        "seed": str(spec["seed"]),
        "selection": events.get("asked", {}).get("data", ""),
        "snapshot": _snapshot(store, run),
        "data": words.used(events["data"]) if "data" in events else "",
        "attention": report.attention(events["attention"]) if "attention" in events else "",
        "held out": words.held_out(events["evaluation"]) if "evaluation" in events else "",
        "started": _when(run.started),
        "ended": _when(run.ended),
        "checkpoints": _checkpoints(home.run(run.name) / "checkpoints"),
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "folder": str(home.run(run.name)),
    }
    return {name: text for name, text in found.items() if text}


_ONCE = ("asked", "data", "attention", "evaluation")


def _when(stamp: str | None) -> str:
    return f"{stamp[:19].replace('T', ' ')} UTC" if stamp else "not yet"


def _changed(run: Run) -> list[str]:
    defaults = {field.name: field.default for field in fields(method_named(run.method).options)}
    options: dict[str, Any] = run.spec["options"]
    return [f"{name}={value}" for name, value in options.items() if value != defaults.get(name)]


def _snapshot(store: Store, run: Run) -> str:
    labels = len(snapshots.labels_of(store, run.name))
    rows = snapshots.size(store, run.snapshot_hash)
    made = f"{labels:,} label{'' if labels == 1 else 's'} made this model, its ancestors' included"
    return f"{run.snapshot_hash[:16]}: {rows:,} rows; {made if labels else 'no label made this model'}"


def _checkpoints(folder: Path) -> str:
    """Which there are, and how much room they take; "" for none."""
    kept = sorted(path for path in folder.glob("step-*") if path.is_dir())
    size = sum(file.stat().st_size for path in kept for file in path.iterdir())
    steps = ", ".join(f"step {int(path.name.removeprefix('step-'))}" for path in kept)
    return f"{steps} ({size / 1e6:.1f} MB)" if kept else ""
