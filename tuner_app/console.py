"""What the commands show of runs and models in a plain terminal: progress and tables."""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from engine.errors import UserError
from tuner_app import bases, fit, launch, library, remedies, report, typed, words
from tuner_app.checking import Checking
from tuner_app.clean import visible
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.run_details import details
from tuner_app.store import Store, models, runs
from tuner_app.store.run_rows import AdapterRow, Base, Run, RunEvent
from tuner_app.workers import supervisor

POLL_SECONDS = 0.25
SHOWN = 3  # rows of a check; the app and --json have more
STAGES = {"loading": "Loading the base …", "data": "Reading the rows …"}
SHADES = {
    "mark": "bold",
    "trained": "green underline",
    "trained too": "cyan underline",
    "read": "",
    "read too": "dim",
}
ENDED = ("done", "stopped", "paused", "failed")
CHAT_WITH_IT = "Chat with it: tuner chat --model"
error_console = Console(stderr=True, highlight=False)


def train(
    home: Home, store: Store, plan: launch.Plan, where: Machines, *, detach: bool, as_json: bool
) -> int:
    """Start the planned run, on the processes of `where`, and follow it to its end unless detached."""
    run = launch.prepare(store, home, plan, where)
    epochs = run.spec["options"]["epochs"]
    if epochs > 1 and "epochs" not in plan.options:
        error_console.print(Text(f"The rows are few: each is seen {epochs} times. --epochs says otherwise."))
    reward = next((row.name for row in models.adapters(store) if row.id == run.reward_id), "")
    if reward and not plan.reward:
        error_console.print(Text(f"The reward model is {reward}, the newest of this base."))
    supervisor.start_run(home, store, run)
    if detach:
        click.echo(json.dumps({"run": run.name}) if as_json else f"Run {run.name} goes on by itself.")
        return 0
    return follow(home, store, run, as_json=as_json)


def check(home: Home, store: Store, plan: launch.Plan, where: Machines, *, as_json: bool) -> None:
    """Say what the planned run would do and take on the processes of `where`, and start nothing."""
    checking = Checking(store, home, plan, where)
    with error_console.status("Loading …") as status:
        found = checking.findings(lambda kind, data: status.update(STAGES.get(kind, "Trying one step …")))
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False))
        return
    out = Console(highlight=False, soft_wrap=True)
    for line in report.lines(found):
        out.print(Text(visible(line), style="yellow" if line.startswith("! ") else ""))
    out.print(Text(f"\n{report.LEGEND}"))
    for title, row in zip(found.titles[:SHOWN], found.rows, strict=False):
        for part in row:
            out.print(Text(f"\n{title}, {part.name}:", style="bold"))
            out.print(Text.assemble(*((text, SHADES[kind]) for text, kind in report.marked(part))))


def follow(home: Home, store: Store, run: Run, *, as_json: bool = False) -> int:
    """Show a run's progress until it ends; Ctrl+C asks it to stop. Returns 0 when it is done or stopped."""
    run = wait(home, store, run, quiet=as_json)
    if as_json:
        click.echo(json.dumps(_run_json(store, run), ensure_ascii=False, default=str))
    elif run.status == "failed":
        raise UserError(f"Run {run.name} failed. {run.error}", do=typed.instead(home, store, run))
    elif run.status == "done":
        use = "Let it lead PPO: tuner train ppo --reward" if run.makes_reward else CHAT_WITH_IT
        click.echo(f"Run {run.name} is done. {use} {run.name}")
    else:
        click.echo(f"Run {run.name} is {run.status}. Go on: tuner runs resume {run.name}")
    return 1 if run.status == "failed" else 0


def wait(home: Home, store: Store, run: Run, *, quiet: bool) -> Run:
    """Wait for the end of a run, with a progress bar on standard error unless `quiet`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
    )
    last, stopping = 0, False
    with Progress(*columns, TimeRemainingColumn(), console=error_console, disable=quiet) as progress:
        task = progress.add_task(f"{run.name}: loading", total=1)
        while True:
            try:
                for event in runs.events(store, run.id, after=last):
                    last = event.id
                    _show(progress, task, run, event)
                found = runs.get(store, run.name)
                assert found is not None
                if found.status in ENDED:
                    return found
                supervisor.reap(home, store)
                time.sleep(POLL_SECONDS)
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                progress.console.print("Stopping at the next step…  (Ctrl+C again leaves it to itself)")
                runs.request(store, run.id, "stop")


def _show(progress: Progress, task: Any, run: Run, event: RunEvent) -> None:
    data = event.data
    if event.kind == "step":
        text = f"{run.name}: {words.headline(data)}"
        progress.update(task, description=text, completed=data["step"], total=data["steps"])
    elif event.kind == "reference":
        text = f"{run.name}: reference"
        progress.update(task, description=text, completed=data["done"], total=max(data["total"], 1))
    elif event.kind == "evaluation":
        progress.console.print(Text(words.held_out(data)))
    elif event.kind == "data":
        progress.console.print(Text(words.used(data)))
    elif event.kind == "note":
        progress.console.print(Text(visible(data["message"])))
    elif event.kind == "warning":
        progress.console.print(Text(f"! {visible(data['message'])}", style="yellow"))


def list_runs(store: Store, *, as_json: bool) -> None:
    """Every run, the newest first."""
    rows = runs.listed(store)
    if as_json:
        click.echo(json.dumps([_run_json(store, run) for run in rows], ensure_ascii=False, default=str))
        return
    if not rows:
        click.echo("No runs yet. Start one: tuner train sft")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "method", "status", "step", "latest", "created"):
        table.add_column(name)
    for run in rows:
        step = runs.last_step(store, run.id)
        done = f"{step['step']}/{step['steps']}" if step else ""
        figure = words.headline(step) if step else ""
        table.add_row(run.title, run.method, run.status, done, figure, run.created[:16].replace("T", " "))
    Console(highlight=False).print(table)


def _run_json(store: Store, run: Run) -> dict[str, Any]:
    return {**vars(run), "steps": [event.data for event in _steps(store, run)]}


def _steps(store: Store, run: Run) -> Iterator[RunEvent]:
    last = 0
    while page := runs.events(store, run.id, after=last, kinds=["step"]):
        yield from page
        last = page[-1].id


def run_action(home: Home, store: Store, action: str, name: str, *, as_json: bool) -> int:
    """Show, stop, pause, resume or print the log of the run called `name`, or whose model is."""
    run = runs.get(store, name)
    if run is None:
        raise UserError(f"There is no run “{name}”.", do="List them: tuner runs")
    if action == "log":
        log = home.run(run.name) / "log.txt"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        click.echo(visible(text) or "The log is empty.")
    elif action == "show":
        _show_run(home, store, run, as_json=as_json)
    elif action == "resume":
        if run.status in ("running", "done"):
            raise UserError(f"Run {name} is {run.status}: there is nothing to resume.")
        remedies.refuse_in_vain(run, typed.instead(home, store, run))
        supervisor.start_run(home, store, run)
        return follow(home, store, run, as_json=as_json)
    elif run.status not in ("queued", "running"):
        raise UserError(f"Run {name} is {run.status}: there is nothing to {action}.")
    else:
        supervisor.stop_run(home, store, run, request="pause" if action == "pause" else "stop")
        ended = wait(home, store, run, quiet=True)
        click.echo(f"Run {name} is {ended.status}.")
    return 0


def _show_run(home: Home, store: Store, run: Run, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_run_json(store, run), ensure_ascii=False, indent=2, default=str))
        return
    facts = details(store, home, run)
    if step := runs.last_step(store, run.id):
        facts["last step"] = f"{step['step']} of {step['steps']}, loss {words.number(step['loss'])}"
        facts["metrics"] = " · ".join(words.metrics(step)) or "the loss alone"
    for name, value in facts.items():
        click.echo(f"{name:<11} {value}")


def list_models(store: Store, *, as_json: bool) -> None:
    """Bases with the adapters made from them, each under what it was trained from."""
    rows = models.lineage(store)
    if as_json:
        shown = [
            {"depth": depth, "type": type(row).__name__.lower(), **vars(row), **_measured(store, row)}
            for depth, row in rows
        ]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2, default=str))
        return
    if not rows:
        click.echo("No models yet: chat or train once, and the base is listed.")
        return
    root = Tree("", hide_root=True)
    branches = [root]
    for depth, row in rows:
        del branches[depth + 1 :]
        branches.append(branches[depth].add(Text(f"{row.name}  {_about(store, row)}")))
    # a tree cuts off what is too long for a line: in a pipe lines are long, on a screen they are folded
    Console(highlight=False, width=None if sys.stdout.isatty() else 1000).print(root)


def _about(store: Store, row: Base | AdapterRow) -> str:
    if isinstance(row, Base):
        return row.source
    parts = [row.folder]
    if row.is_reward:
        measured = _measured(store, row).get("held_out")
        parts.append("a reward model, " + (words.held_out(measured) if measured else "not measured"))
    if row.reward:
        parts.append(f"led by {row.reward}")
    return ", ".join(parts)


def _measured(store: Store, row: Base | AdapterRow) -> dict[str, Any]:
    """How often a reward model was right on pairs held out, as its run said; nothing for other models."""
    if isinstance(row, Base) or not row.is_reward or row.run_id is None:
        return {}
    events = runs.events(store, row.run_id, kinds=["evaluation"])
    return {"held_out": events[-1].data if events else None}


def model_action(home: Home, store: Store, action: str, name: str, to: str) -> None:
    """Show, rename, note, delete, export or merge one model."""
    if action == "show":
        row = models.adapter(store, name) or bases.find(store, name)
        lines = [_about(store, row)] if isinstance(row, AdapterRow) else fit.about(row.source)
        click.echo("\n".join([*lines, *([f"note: {row.note}"] if row.note else [])]))
    else:
        click.echo(_done_with(home, store, action, library.named(store, name), to))


def _done_with(home: Home, store: Store, action: str, row: Base | AdapterRow, to: str) -> str:
    if action == "rename":
        library.rename(home, store, row, to)
        return f"{row.name} is called {to} now."
    if action == "note":
        models.annotate(store, row, to)
        return "The note is kept."
    if action == "delete":
        return library.delete(home, store, row)
    if not isinstance(row, AdapterRow):
        raise UserError(f"{row.name} is a base, a model of its own already.", do="Name an adapter.")
    if action == "export":
        library.export(home, row, Path(to))
        return f"The adapter is in {to}."
    merging = library.merge(home, store, row, Path(to))
    try:
        with error_console.status(f"Merging into {to} …"):
            return f"{to} has the merged model, {words.sized(merging.answer())}."
    except KeyboardInterrupt:
        merging.stop()
        raise
