"""Commands for training data: in and out."""

import sys
from pathlib import Path
from typing import Any

import click

from tuner_app.cli.shared import SELECTION_HELP, json_option, open_store, pass_home
from tuner_app.paths import Home


@click.command("import")
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


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "kind", required=True, help="the format to write")
@click.option("--data", default="all", metavar="SELECTION", help=SELECTION_HELP)
@json_option
@pass_home
def export(home: Home, file: Path, kind: str, data: str, as_json: bool) -> None:
    """Write examples and labels to FILE; its ending says how (.jsonl, .json, .csv, .tsv, .parquet, .gz)."""
    from tuner_app import transfer

    transfer.export_file(open_store(home), file, kind, data, as_json=as_json)


COMMANDS = (
    import_,
    export,
)
