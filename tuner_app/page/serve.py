"""`tuner page`: where it listens, what is said at its start, and its end."""

import asyncio
import ipaddress
import os
import signal
import socket
import webbrowser
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn
from fastapi import FastAPI

from engine.errors import UserError
from tuner_app.page import app as page
from tuner_app.page import connections
from tuner_app.page.database import Database
from tuner_app.page.limits import Streams
from tuner_app.page.origin import Place
from tuner_app.paths import Home
from tuner_app.store import Store, audit, members, people

FIRST_PORT = 7077  # the same at every start, so that a bookmark and what the browser keeps stay good
GRACE = 1  # seconds that open requests have at the end


@dataclass(frozen=True)
class Options:
    """What the command line says. `port` 0 takes the first free one from FIRST_PORT on."""

    listen: str = "127.0.0.1"
    port: int = 0
    cert: Path | None = None
    key: Path | None = None
    proxy: str = ""
    proxy_address: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    open: bool = False


def run(home: Home, store: Store, options: Options) -> int:
    """Serve the page until Ctrl+C or SIGTERM; a UserError where that cannot be, or would not be safe."""
    with closing(_listen(_address(options.listen), options.port)) as listener:
        place = Place(
            _address(options.listen),
            listener.getsockname()[1],
            tls=options.cert is not None,
            proxy=options.proxy.lower(),
            proxy_address=options.proxy_address,
            names=tuple(name.lower() for name in options.names),
        )
        _check(store, place, options)
        connections.allow_many()
        audit.note(store, audit.PAGE_STARTED, person=people.ME, detail=place.url)
        link = f"{place.url}/join#{page.first_link(store)}"
        database = Database(store)
        try:
            _serve(page.build(home, database, place), listener, link, options)
        finally:
            database.close()
    return 0


def _serve(app: FastAPI, listener: socket.socket, link: str, options: Options) -> None:
    try:
        config = uvicorn.Config(
            app,
            **connections.settings(),
            timeout_graceful_shutdown=GRACE,
            ssl_certfile=options.cert,
            ssl_keyfile=options.key,
        )
        config.load()
    except OSError as error:  # an SSLError is one
        raise UserError(
            f"The certificate and its key cannot be used: {error}.", do="Check --tls-cert and --tls-key."
        ) from error
    with _quiet_end():
        asyncio.run(_until_told(_Server(config, app.state.streams), listener, link, opens=options.open))


class _Server(uvicorn.Server):
    """Closes the event streams first when it ends: they would hold it up for as long as it has patience."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is open, and the app."""
        self._streams.close()
        await super().shutdown(sockets)


async def _until_told(server: uvicorn.Server, listener: socket.socket, link: str, *, opens: bool) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        click.echo(f"The page is at this link, which works once:\n\n  {link}\n\nCtrl+C ends it.")
        if opens:
            webbrowser.open(link)
    await serving


@contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more; then the database is still to be closed."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check(store: Store, place: Place, options: Options) -> None:
    """A UserError where TLS is incomplete, or strangers can come and nobody is named."""
    if (options.cert is None) != (options.key is None):
        raise UserError("TLS needs a certificate and its key.", do="Give both --tls-cert and --tls-key.")
    for file in (options.cert, options.key):
        if file is not None and not os.access(file, os.R_OK):
            raise UserError(f"{file} cannot be read.", do="Check --tls-cert and --tls-key.")
    if place.local:
        return
    if not any(member.name != people.ME and not member.revoked for member in members.listed(store)):
        raise UserError(
            "Others could reach this page, and nobody but you is named as somebody who may.",
            do="Add them first: tuner people add NAME. Then start the page again.",
        )
    if not place.tls and not place.proxy:
        click.secho(
            "WARNING: neither TLS nor a proxy with TLS. Whoever is on the network between here and a browser "
            "can read and change all of it, and take over anybody's session.\n"
            "Give --tls-cert and --tls-key, or --proxy NAME for a TLS proxy before this page.\n",
            fg="red",
            bold=True,
            err=True,
        )


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text.strip("[]")))
    except ValueError:
        raise UserError(
            f"“{text}” is no IP address.", do="Give --listen one of this machine's, or 0.0.0.0 for all."
        ) from None


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for candidate in [port] if port else [*range(FIRST_PORT, FIRST_PORT + 20), 0]:
        try:
            listener.bind((address, candidate))
            listener.listen(1024)
        except (OSError, OverflowError) as error:
            fault = error
        else:
            return listener
    listener.close()
    raise UserError(
        f"The page cannot be at {address} port {port or FIRST_PORT}: {getattr(fault, 'strerror', fault)}.",
        do="Choose another --port, or leave it out.",
    ) from fault
