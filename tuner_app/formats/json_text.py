"""JSON as RFC 8259 has it, over the standard library's parser: what it lets pass is refused, with a position.

Refused beyond what `json` refuses: NaN and infinities, nesting deeper than 32, numbers of more digits than
Python converts. An object that has a key twice is JSON, so it parses; it is reported beside the value.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

DEPTH = 32
ROW_LIMIT = 1 << 20  # characters of one row; in UTF-8 a line of a mebibyte has at most as many
_AHEAD = 4 * ROW_LIMIT  # how much of a stream is held, so that one row too long does not end the reading

_BAD_BYTE = re.compile("[\udc80-\udcff]")  # what `surrogateescape` makes of a byte outside the encoding
_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]|NaN|-?Infinity', re.DOTALL)


class JSONError(ValueError):
    """Text that is not JSON; `line` and `column` count from 1, in characters."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


@dataclass(frozen=True)
class Element:
    """One value of a stream: where it starts and ends, and why it cannot be a row ("" if it can)."""

    line: int
    value: Any
    problem: str


def parse(data: bytes) -> Any:
    """The value of a whole JSON text in UTF-8; JSONError if it is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        line, column = _position(before, len(before))
        reason = f"byte {error.start + 1} (0x{data[error.start]:02x}) is not UTF-8"
        raise JSONError(reason, line, column) from None
    return _whole(text)[0]


def loads(text: str) -> Any:
    """The value of a JSON text inside another file; JSONError also for a key that is there twice."""
    value, doubled = _whole(text)
    if doubled:
        raise JSONError(_doubled(doubled), 1, 1)
    return value


def _whole(text: str) -> tuple[Any, str]:
    value, end, doubled = decode(text, _skip_space(text, 0))
    end = _skip_space(text, end)
    if end < len(text):
        raise JSONError("more text after the value", *_position(text, end))
    return value, doubled


def _skip_space(text: str, at: int) -> int:
    return _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too


def decode(text: str, start: int) -> tuple[Any, int, str]:
    """The value at `start`, where it ends, and a key that an object has twice ("" if none does)."""
    doubled: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            keys = [key for key, _ in pairs]
            doubled.extend(key for key in built if keys.count(key) > 1)
        return built

    decoder = json.JSONDecoder(object_pairs_hook=build, parse_constant=_no_constant)
    try:
        value, end = decoder.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise JSONError(_plain(error.msg), *_position(text, error.pos)) from None
    except RecursionError:
        _check_depth(text, start, len(text))
        raise JSONError("nested too deeply", *_position(text, start)) from None
    except _ConstantError as error:
        at = next(match.start() for match in _TOKEN.finditer(text, start) if match[0] == str(error))
        raise JSONError(f"{error} is not JSON", *_position(text, at)) from None
    except ValueError:
        raise JSONError("a number of too many digits", *_position(text, start)) from None
    if text.count("[", start, end) + text.count("{", start, end) > DEPTH:
        _check_depth(text, start, end)
    return value, end, doubled[0] if doubled else ""


class _ConstantError(ValueError):
    pass


def _no_constant(name: str) -> NoReturn:
    raise _ConstantError(name)


def _plain(message: str) -> str:
    return message[0].lower() + message[1:].removesuffix(" starting at").removesuffix(" at")


def _check_depth(text: str, start: int, end: int) -> None:
    depth = 0
    for match in _TOKEN.finditer(text, start, end):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth > DEPTH:
            raise JSONError(f"nested deeper than {DEPTH}", *_position(text, match.start()))


def _position(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def lines(stream: TextIO) -> Iterator[Element]:
    """One element per line that is not blank; a bad line is an element with a problem."""
    number = 0
    while line := stream.readline(ROW_LIMIT + 1):
        number += 1
        if (not line.endswith("\n") and len(line) > ROW_LIMIT) or len(
            line.encode("utf-8", "replace")
        ) > ROW_LIMIT:
            while line and not line.endswith("\n"):
                line = stream.readline(ROW_LIMIT)
            yield Element(number, None, "the line is longer than 1 MiB")
        elif line.strip(" \t\r\n"):
            yield _line(line, number)


def _line(line: str, number: int) -> Element:
    try:
        value, doubled = _whole(line.rstrip("\r\n"))  # else what is cut off is missed on a line of its own
    except JSONError as error:
        return Element(number, None, bad_byte(line) or f"column {error.column}: {error.reason}")
    return Element(number, value, bad_byte(line) or _doubled(doubled))


def bad_byte(text: str) -> str:
    """The problem with text in which a byte was not in its encoding; "" if there is none."""
    match = _BAD_BYTE.search(text)
    if not match:
        return ""
    return (
        f"column {match.start() + 1}: the byte 0x{ord(match[0]) - 0xDC00:02x} is not in the file's encoding"
    )


def _doubled(key: str) -> str:
    return f"the key “{key}” is there twice" if key else ""


def document(stream: TextIO) -> Iterator[Element]:
    """The elements of an array, or the one value that the text is; JSONError where the text breaks off."""
    source = _Source(stream)
    if source.peek() != "[":
        yield source.value()
        source.end()
        return
    source.take("[")
    if source.peek() == "]":
        source.take("]")
        source.end()
        return
    while True:
        yield source.value()
        if source.peek() == "]":
            break
        source.take(",")
    source.take("]")
    source.end()


class _Source:
    """JSON text read in pieces; knows its line and column."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.text, self.at, self.more = stream, "", 0, True
        self.line, self.column = 1, 1

    def peek(self) -> str:
        """The next character that is not space, "" at the end."""
        while True:
            self._move(_skip_space(self.text, self.at))
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._fill():
                return ""

    def take(self, character: str) -> None:
        if self.peek() != character:
            found = f"“{self.peek()}”" if self.peek() else "the end"
            raise JSONError(f"“{character}” expected, {found} found", self.line, self.column)
        self._move(self.at + 1)

    def end(self) -> None:
        if self.peek():
            raise JSONError("more text after the value", self.line, self.column)

    def value(self) -> Element:
        self.peek()
        while len(self.text) - self.at < _AHEAD and self._fill():
            pass
        line = self.line
        try:
            value, end, doubled = decode(self.text, self.at)
        except JSONError as error:
            if self.more:
                raise JSONError("a value longer than 4 MiB, or broken", line, self.column) from None
            raise self._here(error) from None
        problem = bad_byte(self.text[self.at : end]) or _doubled(doubled)
        if end - self.at > ROW_LIMIT:
            problem = "the row is longer than 1 MiB"
        self._move(end)
        return Element(line, value, problem)

    def _here(self, error: JSONError) -> JSONError:
        """`error`, which counts from the start of the text that is held, counted from the file's."""
        lines, columns = _position(self.text, self.at)
        column = error.column - columns + self.column if error.line == lines else error.column
        return JSONError(error.reason, error.line - lines + self.line, column)

    def _move(self, to: int) -> None:
        if newlines := self.text.count("\n", self.at, to):
            self.line += newlines
            self.column = to - self.text.rfind("\n", self.at, to)
        else:
            self.column += to - self.at
        self.at = to

    def _fill(self) -> bool:
        if self.more:
            piece = self.stream.read(_AHEAD)
            self.more = bool(piece)
            self.text, self.at = self.text[self.at :] + piece, 0
        return self.more
