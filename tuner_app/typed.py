"""A run as it is typed at the command line, and what to type when it has failed."""

import shlex
from dataclasses import fields

from engine.errors import UserError
from engine.spec import Adapter, method_named
from tuner_app import launch, machines, remedies, words
from tuner_app.launch import Plan
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.store.run_rows import Run


def command(plan: Plan, where: Machines) -> str:
    """The command that starts such a run; what is as it would be anyway is left out."""
    given = {
        "base": plan.base,
        "from": plan.parent,
        "reward": plan.reward,
        "data": str(plan.selection),
        "precision": plan.precision,
        "seed": plan.seed,
        "processes": where.processes,
        **vars(plan.adapter),
        **plan.options,
    }
    usual = {"data": "all", "precision": "auto", "seed": 0, "processes": 1}
    for cls in (Adapter, method_named(plan.method).options):
        usual |= {field.name: field.default for field in fields(cls)}
    parts = ["tuner", "train", plan.method]
    for name, value in given.items():
        if value != usual.get(name, ""):
            parts += [f"--{name.replace('_', '-')}", words.typed(value)]
    several = ["--machines", "FILE"] if where.machines > 1 else ["--shard"] if where.shard else []
    return shlex.join([*parts, *several])


def instead(home: Home, store: Store, run: Run) -> str:
    """What to do about a run that failed."""
    if not (offered := remedies.remedy(run)):
        return f"Its log: tuner runs log {run.name}"
    what = offered.text[0].upper() + offered.text[1:]
    if not offered.is_another_run:
        return f"{what} (tuner runs resume {run.name})."
    try:
        plan = remedies.applied(launch.again(store, run), offered)
        return f"{what}:\n{command(plan, machines.of_run(home.run(run.name)))}"
    except UserError as error:
        return f"{what}. {error}"
