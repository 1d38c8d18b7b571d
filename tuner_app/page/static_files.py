"""The page's own files, read once at the start: no path of a request ever reaches the disk."""

import json
import mimetypes
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from tuner_app.page.access import refuse

WORKER = "worker.js"  # the files that it keeps are named in it, so that it changes when one of them does
PAGES = {"/": "label.html", "/join": "join.html", "/favicon.ico": "icon.svg", "/worker.js": WORKER}
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".html": "text/html"}


def add(app: FastAPI, folder: Path) -> None:
    """Serve each file of `folder` as /static/NAME, and those of PAGES at their own addresses."""
    bodies = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
    bodies[WORKER] = _worker(bodies)
    files = {name: _response_of(name, body) for name, body in bodies.items()}

    async def serve(request: Request) -> Response:
        found = files.get(PAGES.get(request.url.path) or request.path_params["name"])
        if found is None:
            return refuse(404, "There is nothing here.")
        body, headers = found
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)

    for path in (*PAGES, "/static/{name}"):
        app.add_api_route(path, serve, methods=["GET", "HEAD"])


def _worker(bodies: dict[str, bytes]) -> bytes:
    version = sha256(b"".join(sha256(body).digest() for body in bodies.values())).hexdigest()[:16]
    kept = json.dumps([f"/static/{name}" for name in bodies if name != WORKER])
    return bodies[WORKER].replace(b"{version}", version.encode()).replace(b'["{files}"]', kept.encode())


def _response_of(name: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    # Asked for again each time, and answered in a few bytes when nothing has changed.
    return body, {
        "content-type": kind,
        "etag": f'"{sha256(body).hexdigest()[:16]}"',
        "cache-control": "no-cache",
    }
