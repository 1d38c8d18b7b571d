"""Commands for this machine and the home."""

import sys
from pathlib import Path

import click

from tuner_app.cli.shared import json_option, open_store, pass_home
from tuner_app.paths import Home


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@pass_home
def backup(home: Home, file: Path) -> None:
    """Write a checked copy of the database to FILE."""
    with_store = open_store(home)
    with_store.backup(file)
    click.echo(f"{file}: {file.stat().st_size / 1e6:.1f} MB, checked.")


@click.command()
@json_option
@pass_home
def doctor(home: Home, as_json: bool) -> None:
    """What this machine can do, and whether the home is sound."""
    from tuner_app import doctor

    sys.exit(doctor.run(home, as_json=as_json))


COMMANDS = (
    backup,
    doctor,
)
