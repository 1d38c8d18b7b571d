"""Reading a file: its container, its format, then row after row."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from engine.errors import UserError
from engine.examples import Demonstration, Example, Pair, Rated
from tuner_app.formats import columns as column_roles
from tuner_app.formats import strangers
from tuner_app.formats.catalogue import FORMATS, named
from tuner_app.formats.containers import Container, open_container
from tuner_app.formats.records import Format, Record, Refusal, Refused, Row

_PEEK = 20
_PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}")


class Reading:
    """A file as its rows: iterate over it for `Row` and `Refusal`, as often as needed; a pass streams.

    `format` and `container` are names; `detected` says that the format was not given by hand. A pass raises
    UserError where the file breaks off. After a pass, `notes` says what else a person should know.
    """

    def __init__(
        self, container: Container, form: Format, columns: Mapping[str, str] | None, *, detected: bool
    ) -> None:
        self._container, self._form, self._columns = container, form, columns
        self.format = form.name
        self.container = str(container)
        self.detected = detected
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[Row | Refusal]:
        unused: dict[str, None] = {}
        placeholders: Counter[str] = Counter()
        for record in _renamed(self._container, self._columns):
            if isinstance(record, Refusal):
                yield record
                continue
            unused.update(dict.fromkeys(name for name in record.fields if name not in self._form.fields))
            try:
                example = self._form.read(record)
            except Refused as refused:
                yield Refusal(record.line, self._in_their_names(str(refused)))
                continue
            placeholders.update(_placeholders(example))
            yield Row(record.line, example)
        self.notes = list(_notes(list(unused), placeholders))

    def _in_their_names(self, reason: str) -> str:
        for role, name in (self._columns or {}).items():
            reason = reason.replace(f"“{role}”", f"“{name}”")
        return reason


def _notes(unused: list[str], placeholders: Counter[str]) -> Iterator[str]:
    if unused:
        yield f"Not part of the format, so left out: {', '.join(unused[:20])}."
    if placeholders:
        shown = ", ".join(f"{name} ({count} times)" for name, count in placeholders.most_common(5))
        yield f"Placeholders are kept as they are: {shown}. Replace them in the file if something is meant."


def _placeholders(example: Example) -> list[str]:
    """The `{{name}}`s in replies: what the model would learn to say."""
    said: list[str] = []
    match example:
        case Demonstration(messages=messages):
            said = [message.content for message in messages if message.role == "assistant"]
        case Pair(chosen=chosen, rejected=rejected):
            said = [chosen, rejected]
        case Rated(reply=reply):
            said = [reply]
    return [match for text in said if "{{" in text for match in _PLACEHOLDER.findall(text)]


def read(
    path: Path,
    *,
    kind: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Reading:
    """The file at `path`, in the format called `kind` or the one that its rows fit.

    `columns` maps our names to the file's (or to numbers, for a table without a header). A UserError says
    why the file as a whole cannot be taken, and what would help.
    """
    path = Path(path)
    form = named(kind) if kind else None
    column_roles.check(columns or {})
    container = open_container(path, encoding, column_roles.numbered(columns))
    sample = list(islice((row for row in container if isinstance(row, Record)), _PEEK))
    if not sample:
        raise _nothing(path, next(iter(container), None))
    if columns:
        column_roles.check_present(
            columns, list(dict.fromkeys(name for row in sample for name in row.fields))
        )
    mapped = [row for row in _renamed(sample, columns) if isinstance(row, Record)]
    if form is None:
        form = _fitting(mapped)
    elif not any(form.fits(row) for row in mapped):
        form = None
    if form is None:
        raise strangers.refusal(container, sample, named(kind) if kind else None, columns)
    return Reading(container, form, columns, detected=kind is None)


def _renamed(
    rows: Iterable[Record | Refusal], columns: Mapping[str, str] | None
) -> Iterator[Record | Refusal]:
    for row in rows:
        yield column_roles.renamed(row, columns) if columns and isinstance(row, Record) else row


def _fitting(sample: list[Record]) -> Format | None:
    """The format that most rows fit; each row counts for the first that it fits."""
    fits = Counter(
        next((form.name for form in FORMATS.values() if form.fits(record)), "") for record in sample
    )
    del fits[""]
    return FORMATS[fits.most_common(1)[0][0]] if fits else None


def _nothing(path: Path, first: Record | Refusal | None) -> UserError:
    if isinstance(first, Refusal):
        return UserError(f"No row of {path} can be read. The first, on line {first.line}: {first.reason}.")
    return UserError(f"{path} has no rows.")
