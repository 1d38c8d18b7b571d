"""What `tuner import` and `tuner export` do and print."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import click

from engine.errors import UserError
from tuner_app import formats
from tuner_app.intake import Intake, Report, parse_columns
from tuner_app.store import Selection, Store, picking
from tuner_app.words import many

__all__ = ["export_file", "import_files", "parse_columns"]

SHOWN_REFUSALS = 10


def import_files(
    store: Store,
    files: Iterable[Path],
    *,
    kind: str | None,
    columns: Mapping[str, str],
    prompt: str,
    encoding: str | None,
    dry_run: bool,
    all_refusals: bool,
    as_json: bool,
) -> int:
    """Import each file in a transaction of its own and report; returns the process's exit status.

    `prompt` is what was asked in the rows that do not say so themselves.
    """
    reports = []
    for file in files:
        report = Report(str(file))
        intake = Intake(file, kind or "", columns, prompt, encoding or "")
        try:
            if dry_run:
                intake.read(report)
            else:
                intake.keep(store, report)
        except UserError as error:
            report.error = str(error)
        reports.append(report)
        if not as_json:
            for line in _lines(report, dry_run=dry_run, all_refusals=all_refusals):
                click.echo(line)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=2))
    return 1 if any(report.error or not report.rows for report in reports) else 0


def _lines(report: Report, *, dry_run: bool, all_refusals: bool) -> Iterator[str]:
    """The report as a person reads it."""
    if report.error:
        yield f"{report.file}: not imported."
        yield from (f"  {line}" for line in report.error.splitlines())
        return
    kinds = ", ".join(many(count, kind) for kind, count in report.kinds.items()) or "no rows"
    yield f"{report.file}: {report.format} ({report.container}): {kinds}."
    kept = [] if dry_run else [f"{report.new:,} new", f"{report.known:,} already there"]
    yield (
        "  "
        + ", ".join([*kept, f"{len(report.refused):,} refused"])
        + ("; a dry run keeps nothing" if dry_run else "")
    )
    yield from (f"  {note}" for note in report.notes)
    shown = report.refused if all_refusals else report.refused[:SHOWN_REFUSALS]
    yield from (f"  line {refusal.line}: {refusal.reason}" for refusal in shown)
    if len(shown) < len(report.refused):
        yield f"  … and {len(report.refused) - len(shown):,} more: --all-refusals lists them."


def export_file(store: Store, file: Path, kind: str, selection: str, *, as_json: bool) -> None:
    """Write every example of the format's kind, those that labels give included."""
    holds = formats.named(kind).kind
    rows = picking.select(store, holds, Selection.parse(selection))
    count = formats.write(file, rows, kind)
    if as_json:
        click.echo(json.dumps({"file": str(file), "format": kind, "rows": count}))
    else:
        click.echo(f"{file}: {many(count, holds)} as {kind}.")
