"""What the commands share: the home's database, and options made from a dataclass."""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.store import Store

SELECTION_HELP = "all, labels, imports, source:NAME, person:NAME, tag:NAME, last:N; several with commas"
json_option = click.option("--json", "as_json", is_flag=True, help="print JSON for programs")
pass_home = click.pass_obj


def open_store(home: Home) -> "Store":
    """The home's database, made or migrated when need be; runs whose process died are marked so.

    A command that waits for long, because another program holds the database, says so.
    """
    from tuner_app.store import Store
    from tuner_app.store.waiting import BUSY_SECONDS, Waiting
    from tuner_app.workers import supervisor

    held = f"Another program holds the database {home.database}; waiting up to {BUSY_SECONDS:.0f} seconds …"
    home.create()
    store = Store.open(home.database, migrate=True, waiting=Waiting(lambda: click.echo(held, err=True)))
    supervisor.reap(home, store)
    return store


def options_of(cls: type[Any], command: Callable[..., None]) -> Callable[..., None]:
    """Add an option to `command` for each field of the dataclass `cls`; a value not given is None."""
    from tuner_app import words

    for field in reversed(fields(cls)):
        about = [field.metadata["help"], *map(str, field.metadata.get("choices", ()))]
        text = f"{about[0]}{': ' if about[1:] else ''}{', '.join(about[1:])}"
        text = f"{text} [default: {words.typed(field.default)}]"
        add = _switch if isinstance(field.default, bool) else click.option
        command = add(f"--{field.name.replace('_', '-')}", field.name, help=text)(command)
    return command


def _switch(flag: str, name: str, *, help: str) -> Callable[[Any], Any]:
    """An option that is yes or no: `--x` alone and `--no-x` as well as `--x yes` and `--x no`."""
    yes = click.option(flag, name, is_flag=False, flag_value="yes", metavar="[yes|no]", help=help)
    no = click.option(
        f"--no-{flag.removeprefix('--')}", f"no_{name}", is_flag=True, help=f"the same as {flag} no"
    )
    return lambda command: yes(no(command))


def given(cls: type[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that name a field of `cls` and were given."""
    found = {f.name: "no" if values.get(f"no_{f.name}") else values.get(f.name) for f in fields(cls)}
    return {name: value for name, value in found.items() if value is not None}
