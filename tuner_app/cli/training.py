"""Commands for runs: one for each method, to check and to train, and what becomes of runs."""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, Method, build, method_named, methods
from tuner_app.cli.shared import SELECTION_HELP, given, json_option, open_store, options_of, pass_home
from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.launch import Plan

REWARD_HELP = "the reward model: a run of `tuner train reward` [default: the newest of the same base]"


class MethodGroup(click.Group):
    """A command for each file in `engine/methods`, its options made from the method's own.

    `make` makes a method's command: “start a run” of it for one.
    """

    def __init__(self, *args: Any, make: Callable[[Method], click.Command], **more: Any) -> None:
        super().__init__(*args, **more)
        self._make = make

    def list_commands(self, context: click.Context) -> list[str]:
        """The methods' names."""
        return list(methods())

    def get_command(self, context: click.Context, name: str) -> click.Command:
        """The command for the method called `name`."""
        return self._make(method_named(name))


def _train_command(method: Method) -> click.Command:
    def start(home: Home, **values: Any) -> None:
        from tuner_app import console, machines

        where = machines.asked(values["processes"], values["machines"], shard=values["shard"])
        if where.rank > 0:
            from tuner_app.workers import helpers

            click.echo(f"Machine {where.rank} of {where.machines} works for {where.main}, which has the run.")
            sys.exit(helpers.serve(where, method.name))
        plan, how = _plan(method, values), {name: values[name] for name in ("detach", "as_json")}
        sys.exit(console.train(home, open_store(home), plan, where, **how))

    start = click.option("--detach", is_flag=True, help="start it and return; see `tuner runs`")(start)
    return _method_command(method, start)


def _check_command(method: Method) -> click.Command:
    def start(home: Home, **values: Any) -> None:
        from tuner_app import console, machines

        where = machines.asked(values["processes"], values["machines"], shard=values["shard"])
        console.check(home, open_store(home), _plan(method, values), where, as_json=values["as_json"])

    return _method_command(method, start)


@click.group(cls=MethodGroup, make=_train_command)
def train() -> None:
    """Start a run and show its progress; Ctrl+C stops it at the next step, with a checkpoint."""


@click.group(cls=MethodGroup, make=_check_command)
def check() -> None:
    """What `tuner train` with the same options would do: its rows, its loss mask, its time and memory."""


def _plan(method: Method, values: dict[str, Any]) -> "Plan":
    """The run that the options of `_method_command` ask for."""
    from tuner_app.launch import Plan
    from tuner_app.store.selection import Selection

    return Plan(
        method=method.name,
        base=values["base"],
        parent=values["parent"],
        reward=values.get("reward", ""),
        name=values["name"],
        selection=Selection.parse(values["data"]),
        adapter=build(Adapter, given(Adapter, values), "adapter option"),
        precision=values["precision"],
        options=given(method.options, values),
        seed=values["seed"],
    )


def _method_command(method: Method, command: Any) -> click.Command:
    """`command` with all options that say what a run of the method is to be."""
    reward = click.option("--reward", default="", metavar="RUN", help=REWARD_HELP)
    decorators: list[Callable[..., Any]] = [
        click.option("--base", default="", help="builtin, a folder or a hub name"),
        *([reward] if method.needs_reward else []),
        click.option("--from", "parent", default="", metavar="RUN", help="go on from this run's adapter"),
        click.option("--name", default="", help=f"the run's name [default: {method.name}-1, -2, …]"),
        click.option("--data", default="all", metavar="SELECTION", help=SELECTION_HELP),
        click.option("--precision", default="auto", type=click.Choice(list(PRECISIONS)), help="of the base"),
        click.option("--seed", default=0, help="seed of the order and the adapter's start"),
        click.option("--processes", default=1, help="how many share the work, one for each GPU"),
        click.option("--shard", is_flag=True, help="cut the base up among them: each holds its part of it"),
        click.option(
            "--machines",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="a TOML file that says which machines share the work; give each its own",
        ),
        partial(options_of, Adapter),
        partial(options_of, method.options),
        json_option,
        click.pass_obj,
    ]
    for decorate in reversed(decorators):
        command = decorate(command)
    from tuner_app.launch import MOST_EPOCHS

    text = f"{method.title} ({method.paper}). Without --epochs, few rows are seen up to {MOST_EPOCHS} times."
    return click.command(method.name, help=text, context_settings={"show_default": True})(command)


@click.command()
@click.argument(
    "action", type=click.Choice(["list", "show", "stop", "pause", "resume", "log"]), default="list"
)
@click.argument("name", metavar="[RUN]", required=False)
@json_option
@pass_home
def runs(home: Home, action: str, name: str | None, as_json: bool) -> None:
    """List runs, or show, stop, pause, resume or read the log of one."""
    from tuner_app import console

    store = open_store(home)
    if action == "list":
        console.list_runs(store, as_json=as_json)
    elif name is None:
        raise UserError(f"Which run should “{action}” take?", do=f"Give its name: tuner runs {action} RUN.")
    else:
        sys.exit(console.run_action(home, store, action, name, as_json=as_json))


@click.command()
@click.argument("method")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="the base's folder")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="JSON Lines of pairs")
@click.option("--pairs", default=128, type=click.IntRange(1), show_default=True, help="how many of the file")
@click.option("--bf16", is_flag=True, help="train in bf16 instead of fp32")
@json_option
def bench(method: str, model: Path, data: Path, pairs: int, bf16: bool, as_json: bool) -> None:
    """Time one epoch of METHOD: seconds, peak memory, every step's loss, fraction of this machine's peak."""
    from engine.bench import bench

    method_named(method)
    figures = bench(method, model, data, pairs, bf16=bf16)
    if as_json:
        click.echo(json.dumps(figures))
    else:
        for name, value in figures.items():
            click.echo(f"{name:<18} {value}")


COMMANDS = (
    train,
    check,
    runs,
    bench,
)
