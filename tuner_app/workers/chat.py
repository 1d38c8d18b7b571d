"""The chat worker: one base in memory behind an OpenAI-compatible server on the loopback.

`python -m tuner_app.workers.chat --home DIR --base NAME`. It holds `workers/chat.lock` all its life, so there
is one per home, and says in `workers/chat.json` where it listens.
"""

import argparse
import json
import os
import secrets
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UserError
from tuner_app.paths import Home
from tuner_app.paths import home as home_at
from tuner_app.settings import write_atomically
from tuner_app.workers import locks, seat

if TYPE_CHECKING:
    from tuner_app.store import Store
    from tuner_app.store.run_rows import Base

IDLE_POLL = 0.5
GRACE = 2  # seconds that running answers have to end when the worker is told to


def main() -> int:
    """Serve until told to stop; returns 1 when the base cannot be served, 2 when another worker runs."""
    parser = argparse.ArgumentParser(prog="tuner_app.workers.chat", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--base", required=True, help="builtin, a base of the store, a folder or a hub name")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--key", default="", help="the bearer key [default: a random one]")
    parser.add_argument("--idle", type=float, default=0, help="end after so many seconds without a request")
    parser.add_argument("--lock-fd", type=int, help="the lock, when whoever started us holds it already")
    given = parser.parse_args()
    home = home_at(given.home)
    lock = locks.take(locks.chat(home), given.lock_fd)
    if lock is None:
        print(f"Another chat worker serves {home.folder}.\nIt goes on.", file=sys.stderr)
        return 2
    try:
        return serve(home, given.base, given.port, given.key or secrets.token_urlsafe(32), given.idle)
    except UserError as error:
        print(error, file=sys.stderr)
        return 1


def serve(home: Home, base: str, port: int, key: str, idle: float) -> int:
    """Load `base` while the server answers already, and serve it until `idle` seconds without a request.

    Raises UserError when the base cannot be had, the port is taken, or a run has the GPU.
    """
    from tuner_app import bases
    from tuner_app.store import Store

    listener = _listen(port)
    store = Store.open(home.database)
    row = bases.register(store, base)  # before torch: what is wrong with a folder is said at once
    with closing(store), seat.for_chat(home, store):
        return _answer(home, store, row, listener, key, idle)


def _answer(home: Home, store: "Store", row: "Base", listener: socket.socket, key: str, idle: float) -> int:
    import uvicorn

    from tuner_app.workers.model import ChatModel
    from tuner_app.workers.server import Server

    model = ChatModel(home, store, row)
    server = Server(model, key)
    config = uvicorn.Config(
        server.app(),
        http="h11",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    http = uvicorn.Server(config)
    failures: list[str] = []

    def loaded(result: Future[None]) -> None:
        error = result.exception()
        if error is None:
            print(f"Serving {model.row.name}. {model.warning}".strip(), flush=True)
            server.state = "ready"
        else:
            if not isinstance(error, UserError):
                traceback.print_exception(error)
            failures.append(str(error))
            http.should_exit = True

    server.turns.thread.submit(model.load).add_done_callback(loaded)
    endpoint = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "key": key,
        "pid": os.getpid(),
        "base": row.name,
        "source": row.source,
    }
    write_atomically(home.workers / "chat.json", json.dumps(endpoint).encode())  # readable by its owner alone

    def end_when_idle() -> None:
        while not http.should_exit:
            time.sleep(IDLE_POLL)
            http.should_exit |= server.state == "ready" and server.turns.idle > idle

    if idle:
        threading.Thread(target=end_when_idle, daemon=True).start()
    http.run(sockets=[listener])
    server.turns.thread.shutdown(cancel_futures=True)
    if failures:
        print(failures[0], file=sys.stderr)
    return 1 if failures else 0


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        raise UserError(
            f"Port {port} cannot be used: {error.strerror}.", do="Choose another, or leave it out."
        ) from error
    return listener


if __name__ == "__main__":
    sys.exit(main())
