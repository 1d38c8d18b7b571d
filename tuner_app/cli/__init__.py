"""The command line: one command per verb. Every heavy import is inside its command."""

import gc
import sys
from pathlib import Path

import click

from engine.errors import UserError
from tuner_app import faults, paths
from tuner_app.cli import data, machine, models, people, talking, training, usage
from tuner_app.cli.shared import open_store


def main() -> None:
    """Run the command line; an error that a person can act on is shown without a traceback."""
    context = None
    try:
        with cli.make_context("tuner", sys.argv[1:]) as context:
            cli.invoke(context)
    except UserError as error:
        fail(str(error))
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        fail(str(usage.explained(error)), error.exit_code)
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


def fail(message: str, status: int = 1) -> None:
    """Say what went wrong on standard error and leave with this status."""
    first, *rest = message.splitlines() or [""]
    click.secho(first, fg="red", err=True)
    for line in rest:
        click.echo(line, err=True)
    sys.exit(status)


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
        store = open_store(context.obj)
        from tuner_app.tui.app import run

        sys.exit(run(context.obj, store))


for group in (talking, data, training, models, people, machine):
    for command in group.COMMANDS:
        cli.add_command(command)
