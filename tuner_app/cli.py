"""The command line: one command per verb. Every heavy import is inside its command."""

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, Method, build, method_named, methods
from tuner_app import faults, paths, settings
from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.launch import Plan
    from tuner_app.store import Store
    from tuner_app.store.rows import MemberRole

SELECTION_HELP = "all, labels, imports, source:NAME, person:NAME, tag:NAME, last:N; several with commas"
REWARD_HELP = "the reward model: a run of `tuner train reward` [default: the newest of the same base]"
RUN_ACTIONS = ["list", "show", "stop", "pause", "resume", "log"]
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON for programs")
pass_home = click.pass_obj


def main() -> None:
    """Run the command line; an error that a person can act on is shown without a traceback."""
    context = None
    try:
        with cli.make_context("tuner", sys.argv[1:]) as context:
            cli.invoke(context)
    except UserError as error:
        fail(str(error))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        fail(faults.keep(context.obj if context and context.obj else paths.home(), error))


def fail(message: str) -> None:
    """Say what went wrong on standard error and leave with status 1."""
    first, *rest = message.splitlines() or [""]
    click.secho(first, fg="red", err=True)
    for line in rest:
        click.echo(line, err=True)
    sys.exit(1)


def open_store(home: Home) -> "Store":
    """The home's database, made or migrated when need be; runs whose process died are marked so."""
    from tuner_app.store import Store
    from tuner_app.workers import supervisor

    home.create()
    store = Store.open(home.database, migrate=True)
    supervisor.reap(home, store)
    return store


def show_json(data: Any) -> None:
    """Print `data` as one JSON document."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    "folder",
    envvar="TUNER_HOME",
    type=click.Path(path_type=Path),
    help="folder of the database, runs and settings [default: the platform's data folder]",
)
@click.version_option(package_name="tuner")
@click.pass_context
def cli(context: click.Context, folder: Path | None) -> None:
    """Chat with a language model, correct and judge its answers, train it on that, and chat with the result.

    Without a command, opens the terminal app.
    """
    context.obj = paths.home(folder)
    if context.invoked_subcommand is None:
        gc.disable()  # until the first paint: a tenth of the time that it takes
        open_store(context.obj).close()
        from tuner_app.tui.app import run

        sys.exit(run(context.obj))


@cli.command()
@click.option(
    "--seed", default=0, show_default=True, help="seed of the prompts, the sampling and the training"
)
@click.option(
    "--keep", type=click.Path(path_type=Path), help="make the home here [default: a temporary folder]"
)
@json_option
def demo(seed: int, keep: Path | None, as_json: bool) -> None:
    """The whole loop without a person, on the built-in base; prints what changed."""
    from tuner_app import demo

    sys.exit(demo.run(seed=seed, folder=keep, as_json=as_json))


@cli.command()
@click.option("--base", default="", help="builtin, a folder or a hub name [default: the settings' base]")
@click.option("--port", default=0, help="port on 127.0.0.1 [default: a free one]")
@pass_home
def serve(home: Home, base: str, port: int) -> None:
    """The OpenAI-compatible server alone, on this machine's loopback; prints its address and key."""
    from tuner_app import talk

    open_store(home).close()
    sys.exit(talk.serve(home, base or settings.load(home).base, port))


@cli.command()
@click.option("--listen", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="where to listen")
@click.option("--port", default=0, help="port [default: 7077, or the next free one]")
@click.option("--tls-cert", "cert", type=click.Path(path_type=Path), help="certificate chain, for TLS")
@click.option("--tls-key", "key", type=click.Path(path_type=Path), help="the certificate's key")
@click.option("--proxy", default="", metavar="NAME", help="host name of a TLS proxy before the page")
@click.option("--proxy-address", default="127.0.0.1", show_default=True, help="where that proxy comes from")
@click.option("--name", "names", multiple=True, help="one more host name by which people reach the page")
@click.option("--open", is_flag=True, help="open it in this machine's browser")
@pass_home
def page(home: Home, /, **values: Any) -> None:
    """Chat and labelling in a browser; prints a link for the person at this machine.

    Others reach it with --listen, once they are added (tuner people add NAME).
    """
    store = open_store(home)
    from tuner_app.page import serve

    sys.exit(serve.run(home, store, serve.Options(**values)))


def options_of(cls: type[Any], command: Callable[..., None]) -> Callable[..., None]:
    """Add an option to `command` for each field of the dataclass `cls`; a value not given is None."""
    for field in reversed(fields(cls)):
        words = [field.metadata["help"], *map(str, field.metadata.get("choices", ()))]
        text = f"{words[0]}{': ' if words[1:] else ''}{', '.join(words[1:])} [default: {field.default}]"
        command = click.option(f"--{field.name.replace('_', '-')}", field.name, help=text)(command)
    return command


def given(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that name a field of `cls` and were given."""
    return {f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None}


@cli.command()
@click.argument("prompt", required=False)
@click.option("--model", default="", help="base, or the run whose adapter answers [default: the settings']")
@click.option("--base", default="", help="builtin, a folder or a hub name [default: the settings' base]")
@click.option("--system", default="", help="system prompt")
@partial(options_of, settings.Decoding)
@json_option
@pass_home
def chat(home: Home, /, prompt: str | None, **values: Any) -> None:
    """One answer to PROMPT (or to what is piped in), streamed; without PROMPT, a plain chat."""
    from tuner_app import talk

    saved = settings.load(home).decoding.to_json()
    decoding = build(settings.Decoding, saved | given(settings.Decoding, values), "decoding option")
    who = {name: values[name] for name in ("model", "base", "system")}
    talk.chat(home, open_store(home), prompt, decoding=decoding, as_json=values["as_json"], **who)


@cli.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--as", "kind", help="the format, when it is not to be detected")
@click.option("--columns", default="", metavar="ROLE=NAME,…", help="which columns hold what")
@click.option("--prompt", default="", help="what was asked in rows that do not say so")
@click.option("--encoding", help="of a text file that is not UTF-8")
@click.option("--dry-run", is_flag=True, help="read and report, and keep nothing")
@click.option("--all-refusals", is_flag=True, help="list every refused row, not the first ten")
@json_option
@pass_home
def import_(home: Home, /, files: tuple[Path, ...], **options: Any) -> None:
    """Read training data from FILES; each file is taken whole or, on a fault, not at all."""
    from tuner_app import transfer

    columns = transfer.parse_columns(options.pop("columns"))
    sys.exit(transfer.import_files(open_store(home), files, columns=columns, **options))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "kind", required=True, help="the format to write")
@click.option("--data", default="all", metavar="SELECTION", help=SELECTION_HELP)
@json_option
@pass_home
def export(home: Home, file: Path, kind: str, data: str, as_json: bool) -> None:
    """Write examples and labels to FILE; its ending says how (.jsonl, .json, .csv, .tsv, .parquet, .gz)."""
    from tuner_app import transfer

    transfer.export_file(open_store(home), file, kind, data, as_json=as_json)


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


@cli.group(cls=MethodGroup, make=_train_command)
def train() -> None:
    """Start a run and show its progress; Ctrl+C stops it at the next step, with a checkpoint."""


@cli.group(cls=MethodGroup, make=_check_command)
def check() -> None:
    """What `tuner train` with the same options would do: its rows, its loss mask, its time and memory."""


def _plan(method: Method, values: dict[str, Any]) -> "Plan":
    """The run that the options of `_method_command` ask for."""
    from tuner_app.launch import Plan
    from tuner_app.store.snapshots import Selection

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


@cli.command()
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


@cli.command()
@click.argument(
    "action",
    type=click.Choice(["list", "show", "rename", "note", "delete", "export", "merge"]),
    default="list",
)
@click.argument("name", metavar="[MODEL]", required=False)
@click.argument("to", metavar="[NAME|NOTE|FOLDER]", required=False)
@json_option
@pass_home
def models(home: Home, action: str, name: str | None, to: str | None, as_json: bool) -> None:
    """Bases and adapters as a tree of lineage; or one of them shown, renamed, noted, deleted, written out.

    `show` says of a base, a folder or a hub name whether it fits this machine; `export` copies an adapter's
    files to a new FOLDER, `merge` writes it there as one model with its base.
    """
    from tuner_app import console

    store = open_store(home)
    if action == "list":
        console.list_models(store, as_json=as_json)
    elif name is None:
        raise UserError(
            f"Which model should “{action}” take?", do=f"Give its name: tuner models {action} MODEL."
        )
    elif to is None and action not in ("show", "delete"):
        raise UserError(f"“{action}” needs a second word.", do="See tuner models --help.")
    else:
        console.model_action(home, store, action, name, to or "")


@cli.command()
@click.argument(
    "action", type=click.Choice(["list", "add", "change", "invite", "revoke", "restore"]), default="list"
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--role", type=click.Choice(["annotator", "reviewer", "admin"]), help="[default: annotator]")
@click.option(
    "--limit", type=click.IntRange(min=0), help="labels that they may give on a day; 0 for any number"
)
@click.option("--hours", default=72.0, show_default=True, help="how long the link is good")
@json_option
@pass_home
def people(
    home: Home,
    action: str,
    name: str | None,
    role: "MemberRole | None",
    limit: int | None,
    hours: float,
    as_json: bool,
) -> None:
    """Who may come to the page: add, change, invite with a new link, revoke at once, or restore one.

    `add`, `invite` and `restore` print a link, to be sent to the person: it lets them in once.
    """
    from tuner_app import roster

    store = open_store(home)
    if action == "list":
        roster.show(store, as_json=as_json)
    elif name is None:
        raise UserError(f"Whom should “{action}” take?", do=f"Give a name: tuner people {action} NAME.")
    else:
        roster.act(store, action, name, role=role, limit=limit, hours=hours, as_json=as_json)


@cli.command()
@click.argument("method")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="the base's folder")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="JSON Lines of pairs")
@click.option("--pairs", default=128, show_default=True, help="how many pairs of the file")
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


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_home
def backup(home: Home, file: Path) -> None:
    """Write a checked copy of the database to FILE."""
    with_store = open_store(home)
    with_store.backup(file)
    click.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB, checked.")


@cli.command()
@json_option
@pass_home
def doctor(home: Home, as_json: bool) -> None:
    """What this machine can do, and whether the home is sound."""
    from tuner_app import doctor

    sys.exit(doctor.run(home, as_json=as_json))
