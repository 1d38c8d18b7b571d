"""The command for those who may come to the page."""

from typing import TYPE_CHECKING

import click

from engine.errors import UserError
from tuner_app.cli.shared import json_option, open_store, pass_home
from tuner_app.paths import Home

if TYPE_CHECKING:
    from tuner_app.store.rows import MemberRole


@click.command()
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


COMMANDS = (people,)
