"""The command for bases and adapters."""

import click

from engine.errors import UserError
from tuner_app.cli.shared import json_option, open_store, pass_home
from tuner_app.paths import Home


@click.command()
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


COMMANDS = (models,)
