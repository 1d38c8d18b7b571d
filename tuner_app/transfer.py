"""Files into the store and out of it: what `tuner import` and `tuner export` do and report."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, kind_of, prompt_of
from tuner_app import formats
from tuner_app.formats import Refusal
from tuner_app.store import Store, examples, snapshots
from tuner_app.words import many

SHOWN_REFUSALS = 10


@dataclass
class Report:
    """What became of one file."""

    file: str
    format: str = ""
    container: str = ""
    rows: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    new: int = 0
    known: int = 0
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    error: str = ""

    def lines(self, *, dry_run: bool, all_refusals: bool) -> Iterator[str]:
        """The report as a person reads it."""
        if self.error:
            yield f"{self.file}: not imported."
            yield from (f"  {line}" for line in self.error.splitlines())
            return
        kinds = ", ".join(many(count, kind) for kind, count in self.kinds.items()) or "no rows"
        yield f"{self.file}: {self.format} ({self.container}): {kinds}."
        kept = [] if dry_run else [f"{self.new:,} new", f"{self.known:,} already there"]
        yield (
            "  "
            + ", ".join([*kept, f"{len(self.refused):,} refused"])
            + ("; a dry run keeps nothing" if dry_run else "")
        )
        yield from (f"  {note}" for note in self.notes)
        shown = self.refused if all_refusals else self.refused[:SHOWN_REFUSALS]
        yield from (f"  line {refusal.line}: {refusal.reason}" for refusal in shown)
        if len(shown) < len(self.refused):
            yield f"  … and {len(self.refused) - len(shown):,} more: --all-refusals lists them."


def parse_columns(text: str) -> dict[str, str]:
    """`role=name,role=name` as a mapping."""
    columns = {}
    for part in filter(None, text.split(",")):
        role, sign, name = part.partition("=")
        if not (role and sign and name):
            raise UserError(
                f"--columns takes ROLE=NAME,…, not “{part}”.",
                do="For example: --columns prompt=question,completion=answer",
            )
        columns[role.strip()] = name.strip()
    return columns


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
        try:
            reading = formats.read(file, kind=kind, columns=columns or None, encoding=encoding)
            report.format, report.container = reading.format, reading.container
            rows = _counted(reading, report, prompt)
            if dry_run:
                for _ in rows:
                    pass
            else:
                added = examples.add(store, rows, source=file.name)
                report.new, report.known = added.new, added.known
            report.notes = list(reading.notes)
        except UserError as error:
            report.error = str(error)
        reports.append(report)
        if not as_json:
            for line in report.lines(dry_run=dry_run, all_refusals=all_refusals):
                click.echo(line)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=2))
    return 1 if any(report.error or not report.rows for report in reports) else 0


def _counted(reading: Iterable[Any], report: Report, prompt: str) -> Iterator[tuple[Example, int]]:
    """The rows' examples with their line numbers; the report counts rows and collects refusals."""
    for row in reading:
        if isinstance(row, Refusal):
            report.refused.append(row)
        else:
            report.rows += 1
            kind = kind_of(row.example)
            report.kinds[kind] = report.kinds.get(kind, 0) + 1
            yield _asked(row.example, prompt), row.line


def _asked(example: Example, prompt: str) -> Example:
    if not prompt or prompt_of(example).prompt:
        return example
    asked = (Message("user", prompt),)
    if isinstance(example, Demonstration):
        return replace(example, messages=asked + example.messages)
    return replace(example, prompt=asked)


def export_file(store: Store, file: Path, kind: str, selection: str, *, as_json: bool) -> None:
    """Write every example of the format's kind, those that labels give included."""
    holds = formats.named(kind).kind
    rows = snapshots.select(store, holds, snapshots.Selection.parse(selection))
    count = formats.write(file, rows, kind)
    if as_json:
        click.echo(json.dumps({"file": str(file), "format": kind, "rows": count}))
    else:
        click.echo(f"{file}: {many(count, holds)} as {kind}.")
