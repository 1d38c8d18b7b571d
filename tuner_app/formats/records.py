"""What containers hand to formats: a row's fields and its line; how a field is taken out and checked."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.examples import Example, name_of
from tuner_app.formats.json_text import JSONError, loads

_SURROGATE = re.compile("[\ud800-\udfff]")

Fields = dict[str, Any]


class Refused(Exception):  # noqa: N818 - a verdict on a row, which becomes a `Refusal`
    """A row cannot be taken; the message is the reason, for a person to read."""


@dataclass(frozen=True)
class Row:
    """An example and the line on which it starts (in Parquet: the row's number)."""

    line: int
    example: Example


@dataclass(frozen=True)
class Refusal:
    """A row that was not taken, and why; line 0 stands for the whole file."""

    line: int
    reason: str


@dataclass(frozen=True)
class Record:
    """One row before a format has read it. Cells of a `table` are all text, with lists as JSON inside."""

    line: int
    fields: Mapping[str, Any]
    table: bool = False


@dataclass(frozen=True)
class Format:
    """A file format: how a row's fields become an example, and back.

    `fields` are the names that it knows; others are left out. `read` raises `Refused`. `write_plain`
    is the shorter form of a row, with strings for messages, where every example of a file allows it.
    """

    name: str
    holds: type[Example]
    description: str
    fields: tuple[str, ...]
    fits: Callable[[Record], bool]
    read: Callable[[Record], Example]
    write: Callable[[Any], Fields]
    write_plain: Callable[[Any], Fields] | None = None

    @property
    def kind(self) -> str:
        """The name of `holds` in `engine.examples.KINDS`."""
        return name_of(self.holds)


def has(record: Record, *names: str) -> bool:
    """Whether every one of `names` is there and not null."""
    return all(record.fields.get(name) is not None for name in names)


def describe(value: Any) -> str:
    """A value of the wrong type, as a person names it."""
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    names: dict[type[Any], str] = {str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def clean(value: Any, where: str) -> str:
    """`value` as it is, if it is text that can be stored and tokenized; `where` names it."""
    if not isinstance(value, str):
        raise Refused(f"{where} is {describe(value)}, not text")
    if "\0" in value:
        raise Refused(f"{where} holds a NUL character")
    if match := _SURROGATE.search(value):
        at = match.start() + 1
        raise Refused(f"{where} holds half a surrogate pair (character {at}), which is no text")
    return value


def text(record: Record, name: str) -> str:
    """The text of a field that has to be there; it may be empty."""
    if name not in record.fields:
        raise Refused(f"“{name}” is missing")
    return clean(record.fields[name], f"“{name}”")


def optional(record: Record, name: str) -> str:
    """The text of a field that may be missing or null: "" then."""
    return text(record, name) if has(record, name) else ""


def reply(record: Record, name: str) -> str:
    """The text of a field that has to have something in it."""
    return spoken(text(record, name), f"“{name}”")


def spoken(value: str, where: str) -> str:
    """A reply, which has to have something in it."""
    if not value.strip():
        raise Refused(f"{where} is empty")
    return value


def listing(record: Record, name: str) -> list[Any]:
    """A list, given as one or as its JSON; a missing field is the empty list."""
    value = record.fields.get(name)
    if value is None or value == "":
        return []
    if isinstance(value, str):
        try:
            value = loads(value)
        except JSONError as error:
            raise Refused(f"“{name}” is text that is not a list in JSON ({error})") from None
    if not isinstance(value, list):
        raise Refused(f"“{name}” is {describe(value)}, not a list")
    return value


def tools(record: Record) -> str:
    """The tools offered to the model, as JSON text: a text as it stands, a list written out."""
    value = record.fields.get("tools")
    if value is None or value == []:
        return ""
    if isinstance(value, str):
        listing(record, "tools")
        return clean(value, "“tools”")
    return clean(json.dumps(listing(record, "tools"), ensure_ascii=False), "“tools”")


def no_tools(record: Record) -> None:
    """Refuse a row whose tools would be lost."""
    if tools(record) not in ("", "[]"):
        raise Refused("it offers tools, which only a demonstration can keep")


_GOOD = ("true", "1", "yes", "good", "safe", "up", "desirable")
_BAD = ("false", "0", "no", "bad", "unsafe", "down", "undesirable")


def label(record: Record, name: str) -> bool:
    """A thumb: up for true, 1, yes, good, safe, up, desirable; down for their opposites."""
    value = record.fields.get(name)
    if value is None or value == "":
        raise Refused(f"“{name}” is missing: nobody judged this reply")
    word = describe(value) if not isinstance(value, str) else value.strip().lower()
    word = word.removesuffix(".0")
    if word not in _GOOD + _BAD:
        raise Refused(f"“{name}” is {json.dumps(value, ensure_ascii=False)[:60]}, neither good nor bad")
    return word in _GOOD


def margin(record: Record) -> float | None:
    """By how much the chosen reply is better, where the file says so."""
    value = record.fields.get("margin")
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Refused(f"“margin” is {describe(value)}, not a number") from None
    if not math.isfinite(number):
        raise Refused("“margin” is not a finite number")
    return number
