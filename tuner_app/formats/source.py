"""A file's bytes and text: unpacked, bounded, decoded."""

import codecs
import gzip
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from engine.errors import UserError

FILE_LIMIT = 2 << 30
SAMPLE = 1 << 20
_GZIP = b"\x1f\x8b"
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}  # what is called the former often needs the latter
_TELLING = 20  # bytes beyond ASCII from which an encoding can be guessed
_TELLING_SAMPLE = 64 << 10


class _Bounded(io.RawIOBase):
    """The bytes of a stream up to `FILE_LIMIT`; damage of a gzip stream becomes a UserError."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self.stream, self.path, self.left = stream, path, FILE_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self.stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{self.path} is a damaged gzip file: {error}.", do="Fetch it again.") from None
        self.left -= len(data)
        if self.left < 0:
            raise too_large(self.path)
        buffer[: len(data)] = data
        return len(data)


def too_large(path: Path) -> UserError:
    """The refusal of a file over the limit."""
    return UserError(f"{path} holds more than 2 GiB.", do="Split it and import the parts.")


@contextmanager
def binary(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked if it is gzip."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            inner = gzip.GzipFile(fileobj=file) if packed else file
            yield io.BufferedReader(_Bounded(inner, path), SAMPLE)  # type: ignore[arg-type]
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None


@contextmanager
def seekable(path: Path) -> Iterator[IO[bytes]]:
    """The same for readers that jump about in the file."""
    with binary(path) as stream, tempfile.TemporaryFile() as copy:
        while piece := stream.read(SAMPLE):
            copy.write(piece)
        copy.seek(0)
        yield copy


@contextmanager
def text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The file's text, line ends as they are; bytes outside the encoding become lone surrogates."""
    with binary(path) as stream:
        try:
            yield io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
        except UnicodeError as error:
            raise UserError(f"{path} is not {encoding} text: {error}.") from None


def sample(path: Path) -> tuple[bytes, bool]:
    """The file's first bytes, unpacked, and whether it was gzip."""
    with binary(path) as stream:
        head = stream.read(SAMPLE)
    with path.open("rb") as file:
        return head, file.read(2) == _GZIP


def encoding_of(path: Path, head: bytes, named: str | None) -> str:
    """The encoding: as `named`, as the byte order mark says, or UTF-8; a UserError names another one."""
    if named and _checked(named) != "utf-8":
        return named
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    lines = [line for line in head.split(b"\n") if not line.isascii()]
    if len(head) == SAMPLE:
        lines = lines[:-1]
    if sum(_is_utf8(line) for line in lines) * 2 >= len(lines):
        return "utf-8"
    raise _foreign(path, head)


def _checked(encoding: str) -> str:
    """The encoding's own name; a UserError if Python knows none such for text."""
    try:
        "?".encode(encoding)
    except (LookupError, UnicodeError):
        raise UserError(f"There is no encoding “{encoding}”.", do="Try utf-8, gb18030 or cp1252.") from None
    return codecs.lookup(encoding).name


def _foreign(path: Path, head: bytes) -> UserError:
    """The refusal of text that is mostly not UTF-8: where, and what it may be if there is enough to tell."""
    bad = next(number for number, line in enumerate(head.split(b"\n"), 1) if not _is_utf8(line))
    what = f"{path} is not UTF-8, first on line {bad}, at byte {_first_bad(head) + 1} of the file"
    if sum(byte > 127 for byte in head) < _TELLING:
        return UserError(f"{what}.", do="Convert it to UTF-8, or name its encoding with --encoding.")
    import charset_normalizer  # 50 ms that only foreign text is worth

    best = charset_normalizer.from_bytes(head[:_TELLING_SAMPLE].rpartition(b"\n")[0] or head).best()
    if best is None or (b"\0" in head and not best.encoding.startswith("utf")):
        return UserError(f"{path} is neither text nor Parquet.")
    guess = _WIDER.get(best.encoding, best.encoding)
    return UserError(
        f"{what}: it looks like {guess.upper()}.",
        do=f"Import it with --encoding {guess}, or convert it to UTF-8.",
    )


def _first_bad(head: bytes) -> int:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
