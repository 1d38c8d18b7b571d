"""A home whose page is served by a process of its own, with batches to label."""

import contextlib
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import psutil

from engine.examples import Message
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, batches, labels, members, sessions, sharing
from tuner_app.store.rows import Asked, Batch, LabelEvent, Reply
from tuner_app.store.stamps import new_uid

MODEL = "secret-model"  # whose answers the batches hold; no browser is to learn of it


def pairs(count: int, prompt: str = "Question {n}") -> list[Asked]:
    """Prompts with two replies each, that can be told from one another and are in no other batch."""
    only = Message("system", new_uid())
    return [
        Asked(
            (only, Message("user", prompt.format(n=n))),
            tuple(Reply(f"Answer {side} to {n}.", model=MODEL) for side in ("one", "two")),
        )
        for n in range(count)
    ]


def singles(count: int) -> list[Asked]:
    """Prompts with one reply each."""
    return [
        Asked((Message("user", f"Single {n}"),), (Reply(f"Only answer {n}.", model=MODEL),))
        for n in range(count)
    ]


class Served:
    """A home and the page that is served from it, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.create()
        # A chat server that is not needed, in place of a worker that loads a model.
        settings.save(self.home, settings.Settings(chat_url="http://127.0.0.1:9"))
        self.store = Store.open(self.home.database, migrate=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, and return when the page answers."""
        command = ["--home", str(self.home.folder), "page", "--port", str(self.port)]
        program = [str(Path(sys.executable).with_name("tuner")), *command]
        self._process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self._process.poll() is None, "the page ended at its start"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/join").is_success:
                    return
            time.sleep(0.05)
        raise AssertionError("the page did not start")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the server, by default as a power cut does."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    @property
    def running(self) -> bool:
        """Whether there is a server."""
        return self._process is not None

    def room(self, largest: int = resource.RLIM_INFINITY) -> None:
        """Let no file of the server grow beyond so many bytes, as on a disk that is full; or let it again."""
        assert self._process is not None
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (largest, hard))

    def memory(self) -> float:
        """MB that the server has in memory."""
        assert self._process is not None
        return psutil.Process(self._process.pid).memory_info().rss / 1e6

    def processor(self) -> float:
        """Seconds of processors that the server has taken."""
        assert self._process is not None
        return sum(psutil.Process(self._process.pid).cpu_times()[:2])

    def close(self) -> None:
        """End all of it."""
        self.stop()
        self.store.close()

    def member(self, name: str, limit: int | None = None) -> None:
        """Let somebody in."""
        members.add(self.store, name, "annotator", daily_limit=limit)

    def link(self, name: str) -> str:
        """A link for a member."""
        return f"{self.url}/join#{sessions.invite(self.store, name)}"

    def share(self, asked: Sequence[Asked], name: str, **how: object) -> Batch:
        """A new batch, shared out."""
        kind = "pair" if len(asked[0].replies) == 2 else "single"
        batch = batches.make(self.store, asked, name=name, kind=kind, uid=new_uid())
        return sharing.configure(self.store, batch.id, **{"shared": True, "overlap": 100, **how})  # type: ignore[arg-type]

    def events(self, name: str) -> list[LabelEvent]:
        """All that a person did, in order."""
        rows = self.store.query(
            """SELECT i.hash FROM label_events e JOIN items i ON i.id = e.item_id JOIN people p
               ON p.id = e.person_id WHERE p.name = ? GROUP BY i.hash""",
            (name,),
        )
        found = [event for row in rows for event in labels.history(self.store, row["hash"])]
        return sorted((event for event in found if event.person == name), key=lambda event: event.created)

    def verbs(self, name: str) -> list[str]:
        """The verbs of `events`."""
        return [event.verb for event in self.events(name)]

    def has(self, name: str, *verbs: str) -> None:
        """Wait until these are a person's verbs: a page that says "Saved" may say so of the label before."""
        end = time.monotonic() + 20
        while (there := self.verbs(name)) != [*verbs]:
            assert time.monotonic() < end, f"{name} has {there}, not {verbs}"
            time.sleep(0.02)
