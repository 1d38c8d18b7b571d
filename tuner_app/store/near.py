"""Demonstrations that ask nearly the same as a text, found while it is being written, among a million others.

Each prompt is kept as the smallest of the hashes of its pieces (Broder 1997): texts that share most pieces
share most of these, and some neighbours among them. The neighbours stand as words in a full-text index in a
side file, which may be deleted at any time. What is found by them is then compared piece by piece.
"""

import json
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.examples import Demonstration, from_json
from tuner_app.store import sqlite
from tuner_app.store.database import Store

LEAST = 0.5  # of the pieces of two texts are in both: from there on they are nearly the same
SHORTEST = 6  # characters from which a text is looked for
_LETTERS, _IDEOGRAPHS = 5, 3  # of a piece: one ideograph says more than a letter
_HASHES = 24
_LONGEST = 4000  # characters of a prompt that count
_ROWS = 1000  # for one hash: more have it only where it says little
_CANDIDATES = 50
_PAGE = 100  # examples that are taken in at a time: whoever looks for something waits for no more of them


@dataclass(frozen=True)
class Near:
    """A demonstration in use whose prompt shares `likeness` of its pieces (0 to 1) with a text."""

    example_id: int
    likeness: float
    example: Demonstration


class NearFile:
    """The side file, for any thread of a process; other processes may use it as well."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite.Connection | None = None

    def update(self, store: Store, *, seconds: float) -> bool:
        """Take in examples that have come since, for about so long; whether that was all of them. Whoever
        looks for something meanwhile waits for one part at most."""
        until = time.monotonic() + seconds
        with sqlite.translated(self._path):
            while rows := self._new(store):
                words = [(row["id"], " ".join(_sketch(_asked(_example(row["body"]))))) for row in rows]
                with self._lock:
                    _take_in(self._opened(), words)
                if time.monotonic() > until:
                    return False
        return True

    def _new(self, store: Store) -> list[Any]:
        with self._lock:
            (seen,) = self._opened().execute("SELECT coalesce(max(id), 0) FROM taken").fetchone()
        return store.query(
            "SELECT id, body FROM examples WHERE kind = 'demonstration' AND id > ? ORDER BY id LIMIT ?",
            (seen, _PAGE),
        )

    def find(self, store: Store, text: str, *, but: int | None = None, limit: int = 3) -> list[Near]:
        """The demonstrations in use that ask nearly the same, the nearest first, without the one `but`."""
        if len(text.strip()) < SHORTEST:
            return []
        shared = Counter[int]()
        with self._lock, sqlite.translated(self._path):
            for word in _sketch(text):
                found = self._opened().execute(
                    "SELECT rowid FROM neighbours WHERE neighbours MATCH ? LIMIT ?", (f'"{word}"', _ROWS)
                )
                shared.update(row[0] for row in found)
        candidates = [id for id, _ in shared.most_common(_CANDIDATES) if id != but]
        rows = store.query(
            """SELECT id, body FROM examples WHERE id IN (SELECT value FROM json_each(?))
               AND id NOT IN (SELECT example_id FROM withdrawn)""",
            (json.dumps(candidates),),
        )
        near = [_compared(row["id"], _example(row["body"]), _pieces(text)) for row in rows]
        near = [one for one in near if one.likeness >= LEAST]
        return sorted(near, key=lambda one: (-one.likeness, one.example_id))[:limit]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _opened(self) -> sqlite.Connection:
        if self._db is None:
            self._path.touch(mode=0o600)
            self._db = sqlite.open_raw(self._path)
            sqlite.use_journal(self._db, self._path)
            self._db.execute("PRAGMA synchronous=NORMAL")  # what a power cut takes away is made again
            self._db.execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS neighbours USING fts5(hashes, content='', detail='none',"
                " tokenize='ascii')"
            )
            self._db.execute("CREATE TABLE IF NOT EXISTS taken (id INTEGER PRIMARY KEY) STRICT")
        return self._db


def _take_in(db: sqlite.Connection, words: list[tuple[int, str]]) -> None:
    """Keep sketches; where another thread or process has kept them meanwhile, they stay the same."""
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany("INSERT INTO neighbours (rowid, hashes) VALUES (?, ?)", words)
        db.execute("DELETE FROM taken")
        db.execute("INSERT INTO taken (id) VALUES (?)", (words[-1][0],))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _asked(example: Demonstration) -> str:
    """What the person says in it."""
    return "\n".join(message.content for message in example.messages if message.role == "user")


def _example(body: str) -> Demonstration:
    example = from_json(json.loads(body))
    assert isinstance(example, Demonstration)
    return example


def _compared(id: int, example: Demonstration, pieces: set[str]) -> Near:
    others = _pieces(_asked(example))
    return Near(id, len(pieces & others) / max(len(pieces | others), 1), example)


def _pieces(text: str) -> set[str]:
    said = " ".join(text[:_LONGEST].casefold().split())
    ideographs = len(said.encode("utf-8", "surrogatepass")) > 2.2 * len(said)
    size = _IDEOGRAPHS if ideographs else _LETTERS
    return {said[at : at + size] for at in range(max(len(said) - size + 1, 1))}


def _sketch(text: str) -> list[str]:
    """The smallest hashes of a text's pieces, each with the next one, as words: of a million texts thousands
    may share a piece, and few share two that are neighbours."""
    hashes = sorted({zlib.crc32(piece.encode("utf-8", "surrogatepass")) for piece in _pieces(text)})
    return [f"{one:08x}{following:08x}" for one, following in pairwise([*hashes[:_HASHES], 0])]
