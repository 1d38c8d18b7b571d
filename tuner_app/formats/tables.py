"""Tables in text: CSV and TSV. The way to read one is the one by which its rows are as wide as the first."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from tuner_app.formats.json_text import ROW_LIMIT, bad_byte
from tuner_app.formats.records import Record, Refusal
from tuner_app.formats.source import SAMPLE

csv.field_size_limit(
    16 * ROW_LIMIT
)  # the module's own limit of 128 KiB is below ours; rows are measured below

_NAME = re.compile(r"#?[^\d\W](?!.*[.!?](\s|$))[^\n]{0,39}")  # begins with a letter, is no sentence
_LONE = ("messages", "conversations")  # the only tables of one column that say anything


@dataclass(frozen=True)
class Table:
    """How a table is written, and the names of its columns (None: numbered from 1, the first row is data)."""

    delimiter: str
    quoted: bool
    header: tuple[str, ...] | None
    first: tuple[str, ...]

    @property
    def container(self) -> str:
        """Its name."""
        return {",": "csv", "\t": "tsv", ";": "csv with semicolons"}[self.delimiter]


class _Quoted(csv.excel):
    strict = True


class _Unquoted(_Quoted):
    quoting = csv.QUOTE_NONE


class TableError(ValueError):
    """A table that cannot be read on from `line`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


def sniff(head: str) -> Table | None:
    """The table that a file begins as, or None if its text is no table."""
    first_line = head.lstrip("\r\n").partition("\n")[0]
    if first_line.strip('"\r ') in _LONE:
        name = first_line.strip('"\r ')
        return Table(",", True, (name,), (name,))
    best: tuple[int, int, Table] | None = None
    for delimiter in ",\t;":
        for quoted in (True, False):
            if delimiter not in first_line:
                continue
            good, bad, first = _fit(head, delimiter, quoted)
            if good and good >= bad and (best is None or (bad, -good) < best[:2]):
                best = (bad, -good, Table(delimiter, quoted, _header(first), first))
    return best[2] if best else None


def _fit(head: str, delimiter: str, quoted: bool) -> tuple[int, int, tuple[str, ...]]:
    """Rows as wide as the first, rows that are not, and the first."""
    rows: list[list[str]] = []
    cut, broken = len(head) >= SAMPLE, False
    try:
        for _, row in _rows(io.StringIO(head, newline=""), delimiter, quoted):
            rows.append(row)
        if cut:
            rows.pop()  # half a row: the sample ends inside it
    except TableError as error:
        broken = not (cut and "unexpected end" in str(error))
    first = rows[0] if rows else []
    good = sum(len(row) == len(first) for row in rows[1:])
    return (good if len(first) > 1 else 0), len(rows[1:]) - good + broken, tuple(first)


def _header(first: Sequence[str]) -> tuple[str, ...] | None:
    """The first row, if it can be names of columns."""
    names = tuple(name.strip() for name in first)
    plausible = all(_NAME.fullmatch(name) for name in names if name)
    return names if plausible and any(names) and len(set(names)) == len(names) else None


def _rows(stream: TextIO, delimiter: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, with the line on which each starts."""
    dialect = _Quoted if quoted else _Unquoted
    reader = csv.reader(stream, dialect, delimiter=delimiter)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TableError(line, f"{error} (from the row that starts here)") from None
        if row:
            yield line, row


def records(stream: TextIO, table: Table, numbered: bool) -> Iterator[Record | Refusal]:
    """The rows after the header, or all of them with columns called 1, 2, … if they are `numbered`."""
    header = [str(number) for number in range(1, len(table.first) + 1)] if numbered else table.header or ()
    for line, row in islice(_rows(stream, table.delimiter, table.quoted), 0 if numbered else 1, None):
        if len(row) != len(header):
            yield Refusal(line, f"{len(row)} cells where the first row has {len(header)}")
        elif sum(map(len, row)) > ROW_LIMIT:
            yield Refusal(line, "the row is longer than 1 MiB")
        elif problem := bad_byte(table.delimiter.join(row)):
            yield Refusal(line, problem)
        else:
            yield Record(line, dict(zip(header, row, strict=True)), table=True)
