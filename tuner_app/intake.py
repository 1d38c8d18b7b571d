"""A file on its way into the store: what it holds, which rows are refused and why, and keeping them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Rated, kind_of, prompt_of
from tuner_app import formats
from tuner_app.formats import Reading, Refusal
from tuner_app.store import Store, examples

SHOWN = 50  # rows of a preview


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


@dataclass(frozen=True)
class Intake:
    """A file, and how it is to be read: `kind` is its format ("" finds it out), `columns` which of its
    columns hold what, `prompt` what was asked in the rows that do not say so themselves."""

    path: Path
    kind: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    encoding: str = ""

    def open(self, report: Report) -> Reading:
        """The file's rows; the report gets its format. A UserError where it cannot be taken at all."""
        reading = formats.read(
            self.path, kind=self.kind or None, columns=self.columns or None, encoding=self.encoding or None
        )
        report.format, report.container = reading.format, reading.container
        return reading

    def rows(self, reading: Reading, report: Report) -> Iterator[tuple[Example, int]]:
        """The rows' examples with their line numbers; the report counts rows and collects refusals."""
        for row in reading:
            if isinstance(row, Refusal):
                report.refused.append(row)
                continue
            report.rows += 1
            kind = kind_of(row.example)
            report.kinds[kind] = report.kinds.get(kind, 0) + 1
            yield _asked(row.example, self.prompt), row.line
        report.notes = list(reading.notes)

    def first(self, report: Report) -> list[tuple[Example, int]]:
        """The first rows as they will be stored."""
        return list(islice(self.rows(self.open(report), report), SHOWN))

    def read(self, report: Report, progress: Callable[[], None] = lambda: None) -> None:
        """Read it to its end and keep nothing; `progress` is called after each row."""
        for _ in self.rows(self.open(report), report):
            progress()

    def keep(
        self, store: Store, report: Report, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Import it, whole or not at all; `progress` as in `examples.add`."""
        rows = self.rows(self.open(report), report)
        added = examples.add(store, rows, source=self.path.name, progress=progress)
        report.new, report.known = added.new, added.known


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


def gist(example: Example) -> tuple[str, tuple[str, ...]]:
    """What a row asks last, and its answers; before one that is rated, how."""
    prompt = prompt_of(example).prompt
    replies: tuple[str, ...] = ()
    match example:
        case Demonstration(messages=messages):
            replies = (messages[-1].content,)
        case Pair(chosen=chosen, rejected=rejected):
            replies = (chosen, rejected)
        case Rated(reply=reply, good=good):
            replies = ("good" if good else "bad", reply)
    return prompt[-1].content if prompt else "", replies


def _asked(example: Example, prompt: str) -> Example:
    if not prompt or prompt_of(example).prompt:
        return example
    asked = (Message("user", prompt),)
    if isinstance(example, Demonstration):
        return replace(example, messages=asked + example.messages)
    return replace(example, prompt=asked)
