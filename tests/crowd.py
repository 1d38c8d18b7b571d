"""Annotators without a browser: what the labelling page's JavaScript does, over HTTP/1.1 of our own.

A label keeps its uid, and is sent again until the server has said what became of it. Plain sockets, because a
hundred annotators of an HTTP library would take more of the processor than the server that is measured.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

from tests.served import Served
from tuner_app.store import Store, members, new_uid, sessions

RETRY_SECONDS = 0.2


@dataclass
class Notes:
    """What a crowd saw: what each label said that was acknowledged, by uid, how long each took, and the
    refusals to wait."""

    saved: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    later: Counter[int] = field(default_factory=Counter)
    broken: int = 0


class LaterError(Exception):
    """The server asks to come again."""

    def __init__(self, status: int, seconds: float) -> None:
        super().__init__(status)
        self.status, self.seconds = status, seconds


class Connection:
    """One kept connection to the page, as one person."""

    def __init__(self, served: Served, cookie: str) -> None:
        self._port, self._cookie = served.port, cookie
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an answer; OSError where there is none, LaterError where it is 429 or 503."""
        try:
            return await self._ask(method, path, b"" if body is None else json.dumps(body).encode())
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            self.close()
            raise ConnectionError(str(error)) from error

    async def _ask(self, method: str, path: str, body: bytes) -> Any:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        host = f"127.0.0.1:{self._port}"
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nX-Tuner: 1\r\n"
        head += f"Cookie: {self._cookie}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        status = int(lines[0].split()[1])
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        answer = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.close()
        if status in (429, 503):
            raise LaterError(status, float(headers.get("retry-after", 1)))
        if status != 200:
            raise AssertionError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)

    def close(self) -> None:
        """Begin anew with the next question."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


@dataclass
class Annotator:
    """Labels one item after the other, each `pause` seconds; 0 as fast as the page takes them."""

    name: str
    connection: Connection
    notes: Notes
    pause: float

    async def work(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(random.uniform(0, self.pause))
        tasks: list[Any] = []
        for number in count():
            began = time.monotonic()
            if len(tasks) < 4:
                have = ",".join(task["item"][:12] for task in tasks)
                found = await self._patiently("GET", f"/api/work?person={self.name}&count=8&have={have}")
                tasks += found["items"]
            if not tasks:
                await asyncio.sleep(1)
                continue
            await self._label(tasks.pop(0), number)
            await asyncio.sleep(max(0.0, self.pause - (time.monotonic() - began)))

    async def _label(self, task: Any, number: int) -> None:
        label = {
            "uid": new_uid(),
            **{key: task[key] for key in ("batch", "item", "shown")},
            "verb": "choose",
            "value": {"reply": number % 2},
            "undoes": None,
            "tags": ["clear"] if number % 3 == 0 else [],
            "comment": "why" if number % 5 == 0 else "",
        }
        began = time.monotonic()
        sent = {"person": self.name, "labels": [label]}
        (outcome,) = (await self._patiently("POST", "/api/labels", sent))["results"]
        assert outcome["uid"] == label["uid"]
        if outcome["state"] == "saved":  # the whole answer has been read
            self.notes.saved[label["uid"]] = _told(
                *(self.name, label["item"], label["verb"], label["value"], label["shown"]),
                *(label["tags"], label["comment"]),
            )
            self.notes.seconds.append(time.monotonic() - began)
        else:
            self.notes.refused.append(outcome["why"])

    async def _patiently(self, method: str, path: str, body: object = None) -> Any:
        """Ask again until there is an answer."""
        while True:
            try:
                return await self.connection.ask(method, path, body)
            except LaterError as later:
                self.notes.later[later.status] += 1
                await asyncio.sleep(later.seconds * random.uniform(1, 1.5))
            except ConnectionError:
                self.notes.broken += 1
                await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1.5))


def gather(served: Served, names: list[str], notes: Notes, *, pause: float) -> list[Annotator]:
    """Annotators with sessions of their own."""
    cookie = f"tuner-{sha256(str(served.home.folder).encode()).hexdigest()[:8]}"
    crowd = []
    for name in names:
        if members.find(served.store, name) is None:
            served.member(name)
        session = sessions.redeem(served.store, sessions.invite(served.store, name))
        crowd.append(Annotator(name, Connection(served, f"{cookie}={session}"), notes, pause))
    return crowd


@contextmanager
def at_work(crowd: list[Annotator]) -> Iterator[list["asyncio.Task[None]"]]:
    """The crowd labels while the block runs."""
    tasks = [asyncio.create_task(annotator.work()) for annotator in crowd]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for annotator in crowd:
            annotator.connection.close()


async def finished(tasks: "list[asyncio.Task[None]]") -> None:
    """Wait for cancelled tasks; what else ended one is raised."""
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task


def check(store: Store, notes: Notes) -> dict[str, int]:
    """How many acknowledged labels are lost; how many are there but stand no more, or say something else; how
    often a person has labelled an item again, or a uid is there again, which nobody in a crowd does; how many
    items more people than the overlap have or had; and how many labels there are."""
    rows = store.query(
        """SELECT e.uid, p.name, i.hash, e.verb, e.value, e.shown, c.comment,
             EXISTS (SELECT 1 FROM heads WHERE event_id = e.id) AS stands,
             (SELECT json_group_array(tag) FROM label_tags WHERE event_id = e.id) AS tags
           FROM label_events e JOIN items i ON i.id = e.item_id JOIN people p ON p.id = e.person_id
             LEFT JOIN label_comments c ON c.event_id = e.id"""
    )
    kept = {
        row["uid"]: row["stands"]
        and _told(
            *(row["name"], row["hash"], row["verb"], json.loads(row["value"]), json.loads(row["shown"])),
            *(json.loads(row["tags"]), row["comment"] or ""),
        )
        for row in rows
    }
    again = store.query("SELECT 1 FROM label_events GROUP BY person_id, item_id HAVING count(*) > 1")
    crowded = store.query("SELECT 1 FROM slots WHERE room < 0 AND gold_verb IS NULL")
    return {
        "lost": len(notes.saved.keys() - kept.keys()),
        "changed": sum(told != kept.get(uid, told) for uid, told in notes.saved.items()),
        "doubled": len(again) + len(rows) - len(kept),
        "crowded": len(crowded),
        "labels": len(kept),
    }


def _told(*parts: Any) -> str:
    """All that a label says, with whose it is."""
    return json.dumps(parts, sort_keys=True)
