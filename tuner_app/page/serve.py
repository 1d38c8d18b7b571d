"""`tuner page`: the server's address, what is said at its start, and its end."""

import asyncio
import socket
import webbrowser
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn

from engine.errors import UserError
from tuner_app.page import app as page
from tuner_app.page.database import Database
from tuner_app.page.origin import Place
from tuner_app.paths import Home
from tuner_app.store import Store

FIRST_PORT = 7077  # the same at every start, so that a bookmark and what the browser keeps stay good
GRACE = 2  # seconds that open requests have at the end


@dataclass(frozen=True)
class Options:
    """What the command line says. `port` 0 takes the first free one from FIRST_PORT on."""

    listen: str = "127.0.0.1"
    port: int = 0
    cert: Path | None = None
    key: Path | None = None
    proxy: str = ""
    open: bool = False


def run(home: Home, store: Store, options: Options) -> int:
    """Serve the page until Ctrl+C or SIGTERM."""
    listener = _listen(options.listen, options.port)
    place = Place(
        options.listen, listener.getsockname()[1], tls=options.cert is not None, proxy=options.proxy
    )
    link = f"{place.url}/join#{page.first_link(store)}"
    database = Database(store)
    try:
        app = page.build(home, database, place)
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
            ssl_certfile=options.cert,
            ssl_keyfile=options.key,
        )
        asyncio.run(_serve(uvicorn.Server(config), listener, link, options.open))
    finally:
        database.close()
    return 0


async def _serve(server: uvicorn.Server, listener: socket.socket, link: str, opens: bool) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        click.echo(f"The page is at this link, which works once:\n\n  {link}\n\nCtrl+C ends it.")
        if opens:
            webbrowser.open(link)
    await serving


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for candidate in [port] if port else [*range(FIRST_PORT, FIRST_PORT + 20), 0]:
        try:
            listener.bind((address, candidate))
            listener.listen(socket.SOMAXCONN)
        except OSError as error:
            fault = error
        else:
            return listener
    listener.close()
    raise UserError(
        f"The page cannot be at {address} port {port or FIRST_PORT}: {fault.strerror}.",
        do="Choose another --port, or leave it out.",
    ) from fault
