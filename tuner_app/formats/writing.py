"""Writing a file: every example is read back in memory before any byte of the file is replaced."""

import csv
import gzip
import io
import json
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from engine.errors import UserError
from engine.examples import Example
from tuner_app.formats import parquet
from tuner_app.formats.catalogue import named
from tuner_app.formats.records import Fields, Format, Record, Refused

_TABLES = {".csv": ",", ".tsv": "\t"}


def write(path: Path, examples: Iterable[Example], kind: str) -> int:
    """Write the examples in the format called `kind`; how many they are.

    The suffix is the container: .json .jsonl .csv .tsv .parquet, each also with .gz. The file appears
    whole or not at all. UserError if an example would not read back as it is, before anything is written.
    """
    path, form = Path(path), named(kind)
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    packed = suffixes[-1:] == [".gz"]
    suffix = "".join(suffixes[:-1][-1:] if packed else suffixes[-1:])
    if suffix not in (".json", ".jsonl", ".parquet", *_TABLES):
        raise UserError(
            f"{path.name} does not say what to write.",
            do="End its name in .json, .jsonl, .csv, .tsv or .parquet, or one of these and .gz.",
        )
    rows = _rows(list(examples), form, table=suffix in _TABLES)
    if not rows:
        raise UserError("There is nothing to write.", kept=f"{path} is as it was.")
    _replace(path, lambda file: _fill(file, rows, suffix), packed)
    return len(rows)


def _rows(examples: list[Example], form: Format, table: bool) -> list[Fields]:
    """The rows, in the shorter form if every example can have it: a file has one shape."""
    write = form.write
    if form.write_plain and all(_reads_back(example, form, form.write_plain, table) for example in examples):
        write = form.write_plain
    rows = []
    for number, example in enumerate(examples, 1):
        reason = _lost(example, form, write, table)
        if reason:
            raise UserError(
                f"The format {form.name} cannot hold example {number}: {reason}.",
                kept="Nothing was written.",
                do="Export in another format: messages holds every demonstration, preference every pair, "
                "kto-tag every rated reply.",
            )
        rows.append(write(example))
    return rows


def _reads_back(example: Example, form: Format, write: Callable[[Any], Fields], table: bool) -> bool:
    return not _lost(example, form, write, table)


def _lost(example: Example, form: Format, write: Callable[[Any], Fields], table: bool) -> str:
    """Why the example would not read back from its row as it is; "" if it would."""
    if not isinstance(example, form.holds):
        return f"it is a {type(example).__name__.lower()}, not a {form.kind}"
    try:
        fields = write(example)
        if table:
            fields = {name: _cell(value) for name, value in fields.items()}
        if form.read(Record(0, fields, table)) == example:
            return ""
    except Refused as refused:
        return str(refused)
    return "it would read back as another"


def _cell(value: Any) -> str:
    if value is None or value == []:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fill(file: IO[bytes], rows: list[Fields], suffix: str) -> None:
    if suffix == ".parquet":
        parquet.write(file, rows)
        return
    text = io.TextIOWrapper(file, "utf-8", newline="")
    if suffix in _TABLES:
        names = list(dict.fromkeys(name for row in rows for name in row))
        table = csv.writer(text, delimiter=_TABLES[suffix], quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow(names)
        table.writerows([_cell(row.get(name)) for name in names] for row in rows)
    else:
        lines = (json.dumps(row, ensure_ascii=False) for row in rows)
        text.write("\n".join(lines) + "\n" if suffix == ".jsonl" else "[\n" + ",\n".join(lines) + "\n]\n")
    text.flush()
    text.detach()


def _replace(path: Path, fill: Callable[[IO[bytes]], None], packed: bool) -> None:
    """Make the file under another name, bring it to the disk, and give it its name."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            if packed:
                with gzip.GzipFile(path.name, "wb", fileobj=file, mtime=0) as inner:
                    fill(inner)  # type: ignore[arg-type]
            else:
                fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}.", kept="A file of that name is as it was."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
