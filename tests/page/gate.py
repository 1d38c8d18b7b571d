"""The page behind a real socket, served by a thread of the test, and clients of each role."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tuner_app import settings
from tuner_app.page import app as page
from tuner_app.page import connections
from tuner_app.page.database import Database
from tuner_app.page.origin import Place
from tuner_app.paths import Home
from tuner_app.store import Store, members, people, sessions

SECRET = "the secret of another file"
ROLES = {"ann": "annotator", "bea": "annotator", "rex": "reviewer"}


class Gate:
    """A page that is served; `client(name)` is a member's, with a session."""

    def __init__(self, folder: Path, **place: object) -> None:
        self.home = Home(folder)
        self.home.create()
        # A chat server that is not needed, in place of a worker that loads a model.
        settings.save(self.home, settings.Settings(chat_url="http://127.0.0.1:9"))
        self.store = Store.open(self.home.database, migrate=True)
        for name, role in ROLES.items():
            members.add(self.store, name, role)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.place = Place("127.0.0.1", self._listener.getsockname()[1], **place)
        self.url = self.place.url
        self.headers = {"Origin": self.url, "X-Tuner": "1"}
        self.app = page.build(self.home, Database(self.store), self.place)
        self._server = uvicorn.Server(
            uvicorn.Config(self.app, **connections.settings(), timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._listener])

    def gradio(self) -> Any:
        """Gradio's app, once it is loaded."""
        loaded = self.app.state.studio.loaded()
        return asyncio.run_coroutine_threadsafe(loaded, self.loop).result(120)

    def start(self) -> None:
        """Serve, and return when it answers."""
        connections.allow_many()
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server and its database."""
        self.app.state.streams.close()
        self._server.should_exit = True
        self._thread.join()
        self.app.state.database.close()

    def stranger(self, **how: object) -> httpx.Client:
        """A client without a session."""
        return httpx.Client(base_url=self.url, headers=self.headers, timeout=60, **how)

    def client(self, name: str = people.ME, **how: object) -> httpx.Client:
        """A client with a session of this member."""
        client = self.stranger(**how)
        client.cookies.set(self.app.state.cookie, self.session(name))
        return client

    def session(self, name: str) -> str:
        """The secret of a new session, without the page's help."""
        session = sessions.redeem(self.store, sessions.invite(self.store, name))
        assert session
        return session

    @property
    def under_way(self) -> int:
        """How many requests have begun and are not answered."""
        cycles = [one.cycle for one in list(self._server.server_state.connections)]
        return sum(cycle is not None and not cycle.response_complete for cycle in cycles)

    def sends(self, data: bytes, seconds: float = 5) -> bytes:
        """What comes back for these bytes, to the connection's end or so many seconds."""
        with socket.create_connection(("127.0.0.1", self.place.port), timeout=seconds) as wire:
            wire.sendall(data)
            got = b""
            try:
                while part := wire.recv(65536):
                    got += part
            except OSError:
                pass
            return got

    def dribbles(self, first: bytes, seconds: float = 8) -> tuple[bytes, bool]:
        """What comes back when a byte follows these every 50 ms, and whether the server closed."""
        with socket.create_connection(("127.0.0.1", self.place.port), timeout=0.05) as wire:
            wire.sendall(first)
            got, end = b"", time.monotonic() + seconds
            while time.monotonic() < end:
                try:
                    wire.sendall(b"x")
                    part = wire.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return got, True
                if not part:
                    return got, True
                got += part
            return got, False


@contextmanager
def gate(folder: Path, **place: object) -> Iterator[Gate]:
    """A page that is served for the block."""
    served = Gate(folder, **place)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def answer_of(answers: Any) -> tuple[int, bytes]:
    """The status and the body of the next answer on a connection that is kept."""
    status, length = int(answers.readline().split()[1]), 0
    while (line := answers.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, answers.read(length)
