"""What a file is made of: JSON, JSON Lines, a table or Parquet; told from its content, not from its name."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import UserError
from tuner_app.formats import json_text, parquet, source, tables
from tuner_app.formats.json_text import Element, JSONError
from tuner_app.formats.records import Record, Refusal, describe
from tuner_app.formats.tables import Table, TableError

_JSON_NAMES = (".json", ".jsonl", ".ndjson")


@dataclass(frozen=True)
class Container:
    """A file that can be read row by row, as often as one likes."""

    path: Path
    name: str
    packed: bool = False
    encoding: str = "utf-8"
    table: Table | None = None
    numbered: bool = False

    def __str__(self) -> str:
        return f"{self.name}, gzip" if self.packed else self.name

    def __iter__(self) -> Iterator[Record | Refusal]:
        if self.name == "parquet":
            yield from parquet.records(self.path)
            return
        with source.text(self.path, self.encoding) as stream:
            try:
                if self.table:
                    yield from tables.records(stream, self.table, self.numbered)
                else:
                    read = json_text.lines if self.name == "jsonl" else json_text.document
                    yield from _rows(read(stream))
            except (JSONError, TableError) as error:
                raise UserError(f"{self.path} cannot be read: {error}.") from None


def _rows(elements: Iterable[Element]) -> Iterator[Record | Refusal]:
    for element in elements:
        if element.problem:
            yield Refusal(element.line, element.problem)
        elif isinstance(element.value, dict):
            yield Record(element.line, element.value)
        else:
            yield Refusal(element.line, f"{describe(element.value)}, not an object with named fields")


def open_container(path: Path, encoding: str | None, numbered: bool) -> Container:
    """The container of the file at `path`; `numbered` tables have columns called 1, 2, … and no header."""
    if path.is_dir():
        raise UserError(f"{path} is a folder.", do="Name the files in it.")
    head, packed = source.sample(path)
    if head.startswith(parquet.MAGIC):
        return Container(path, "parquet", packed)
    encoding = source.encoding_of(path, head, encoding)
    with source.text(path, encoding) as stream:
        text = stream.read(source.SAMPLE)
    if not text.strip():
        raise UserError(f"{path} is empty: it ends at line 1, column 1.")
    if name := _json_kind(text):
        return Container(path, name, packed, encoding)
    table = tables.sniff(text)
    if table and (numbered or table.header):
        return Container(path, table.container, packed, encoding, table, numbered)
    if table:
        raise _headerless(path, table)
    if any(suffix in _JSON_NAMES for suffix in path.suffixes):
        return Container(path, "json", packed, encoding)
    is_what = "XML" if text.lstrip().startswith("<?xml") else "plain text"
    raise UserError(
        f"{path} is {is_what}: it has no prompts and replies to learn from.",
        do="tuner learns from conversations, from pairs of replies and from rated replies: JSON, JSON Lines, "
        "CSV, TSV or Parquet with such columns.",
    )


def _json_kind(text: str) -> str:
    """Lines if a line is a value or the next begins another, otherwise a document; "" for neither."""
    start = text.lstrip(" \t\r\n")
    if start.startswith("["):
        return "json"
    if not start.startswith("{"):
        return ""
    first, _, rest = start.partition("\n")
    if rest.lstrip(" \t\r\n").startswith("{"):
        return "jsonl"
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return "json" if rest.strip() or len(first) < json_text.ROW_LIMIT // 2 else "jsonl"
    return "jsonl"


def _headerless(path: Path, table: Table) -> UserError:
    cells = ", ".join(f"{number} “{cell[:30]}”" for number, cell in enumerate(table.first[:6], 1))
    return UserError(
        f"{path} is a table without a header: its first row is {cells}.",
        do="Name the columns by their numbers, for example --columns prompt=1,completion=2.",
    )
