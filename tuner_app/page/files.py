"""Training data in and out of the page: a file is sent, looked at, and only then kept.

A file that is sent lies under the home until it is imported, replaced by another, or a day old.
"""

import asyncio
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from threading import Event
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from engine.errors import UserError
from engine.examples import Example, kind_of
from tuner_app import formats
from tuner_app.clean import one_line
from tuner_app.intake import Intake, Report, gist, parse_columns
from tuner_app.page.database import Database
from tuner_app.page.translation import of_headers, translate, translate_error
from tuner_app.paths import Home
from tuner_app.store import Selection, Store, audit, members, picking
from tuner_app.store.rows import Member
from tuner_app.words import many

LARGEST = 2 << 30  # bytes of a file
KEPT_SECONDS = 86_400
SHOWN = 100  # rows of a preview, and refused ones
CONTAINERS = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz")
_TOKEN = re.compile(r"[A-Za-z0-9_]{8}")  # as tempfile makes them


class How(BaseModel):
    """How a file is to be read, as `Intake` has it, and whether it is to be kept."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: str = Field("", max_length=40)
    columns: str = Field("", max_length=1000)
    prompt: str = Field("", max_length=10_000)
    keep: bool = False


@dataclass(frozen=True)
class Uploads:
    """The folder of files that were sent."""

    folder: Path

    def new(self, name: str) -> Path:
        """A path for a file of this name, in a folder of its own; what is a day old is deleted."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sweep()
        return Path(tempfile.mkdtemp(prefix="", dir=self.folder)) / safe_name(name)

    def find(self, token: str) -> Path:
        """The file that was sent under this token; a UserError where there is none any more."""
        found = [*(self.folder / token).glob("*")] if _TOKEN.fullmatch(token) else []
        if len(found) != 1:
            raise UserError("This file is no longer here.", kept="Nothing was imported.", do="Send it again.")
        return found[0]

    def delete(self, file: Path) -> None:
        """Delete a file with its folder."""
        shutil.rmtree(file.parent, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what is a day old."""
        for folder in self.folder.iterdir():
            if time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def safe_name(name: str) -> str:
    """The last part of a file's name without what a path or a screen could stumble over."""
    last = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter if letter.isprintable() else "_" for letter in last).strip(". ")
    return kept[-120:] or "data"


def add(app: FastAPI, home: Home, database: Database) -> None:
    """The routes: /api/import takes a file, /api/import/{token} reads and keeps it, /api/export gives one."""
    routes = _Routes(Uploads(home.folder / "uploads"), database)
    app.add_api_route("/api/import", routes.send, methods=["POST"])
    app.add_api_route("/api/import/{token}", routes.read, methods=["POST"])
    app.add_api_route("/api/export", routes.export, methods=["GET"])


class _Routes:
    """All for admins: the table of access says so, and each of them looks again."""

    def __init__(self, uploads: Uploads, database: Database) -> None:
        self._uploads, self._database = uploads, database

    async def send(self, request: Request, name: str = "data") -> Response:
        """Take a file in, as it comes; {"upload": its token}."""
        _require_admin(request)
        file = await asyncio.to_thread(self._uploads.new, name)
        try:
            size = await _receive(request, file)
        except BaseException:
            self._uploads.delete(file)
            raise
        return JSONResponse({"upload": file.parent.name, "name": file.name, "bytes": size})

    async def read(self, request: Request, token: str, how: How) -> Response:
        """What is in the file, and what would become of its rows; with `keep` it is imported."""
        member = _require_admin(request)
        file = await asyncio.to_thread(self._uploads.find, token)
        language = of_headers(request.headers)
        if not how.keep:
            return JSONResponse(await asyncio.to_thread(preview, file, how, language))
        report = await self._database.apart(keep, file, how, member, _address(request))
        self._uploads.delete(file)
        counts = {"new": report.new, "known": report.known, "kept": True}
        return JSONResponse(told(report, language) | counts)

    async def export(
        self, request: Request, format: str, data: str = "all", container: str = ".jsonl"
    ) -> Response:
        """A file of all examples of the format's kind that the selection has."""
        member = _require_admin(request)
        if container not in CONTAINERS:
            raise UserError(f"There is no container “{container}”.", do=f"One of {', '.join(CONTAINERS)}.")
        file = await asyncio.to_thread(self._uploads.new, f"{formats.named(format).name}{container}")
        stop = Event()
        try:
            rows = await self._database.beside(written, file, format, data, stop)
            detail = f"{rows} rows as {format}: {data}"
            await self._database.write(_note, member, "export", detail, _address(request))
        except BaseException:
            stop.set()
            self._uploads.delete(file)
            raise
        return _Passing(file, filename=file.name, media_type="application/octet-stream")


def preview(file: Path, how: How, language: str) -> dict[str, Any]:
    """The file read to its end, its first rows, and the refused ones; nothing is kept."""
    intake, report = _intake(file, how), Report(file.name)
    begun = Report(file.name)
    try:
        first = intake.first(begun)
        intake.read(report)
    except formats.UnknownColumnsError as error:
        return {
            "error": translate_error(error.what, language),
            "do": translate(error.do, language),
            "columns": _as_text(error.proposal),
        }
    return told(report, language) | {"rows": [_row(example, line, language) for example, line in first]}


def keep(store: Store, file: Path, how: How, member: Member, address: str) -> Report:
    """Import the file, whole or not at all: not when its member is no admin any more before its last part."""

    def still(*_: int) -> None:
        now = members.get(store, member.name)
        if now.revoked or now.role != "admin":
            raise _not_yours()

    report = Report(file.name)
    _intake(file, how).keep(store, report, still)
    detail = f"{file.name}: {report.new} new, {report.known} known, {len(report.refused)} refused"
    _note(store, member, "import", detail, address)
    return report


def told(report: Report, language: str) -> dict[str, Any]:
    """A report as JSON: kinds with how many, the first refused rows with line and reason."""
    return {
        "name": report.file,
        "format": report.format,
        "container": report.container,
        "kinds": [translate(many(count, kind), language) for kind, count in report.kinds.items()],
        "count": report.rows,
        "refused": [
            {"line": row.line, "reason": one_line(translate(row.reason, language), 300)}
            for row in report.refused[:SHOWN]
        ],
        "refused_count": len(report.refused),
        "notes": [translate(note, language) for note in report.notes],
    }


class _Passing(FileResponse):
    """A file in a folder of its own that is deleted when it was sent, to its end or not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            shutil.rmtree(Path(self.path).parent, ignore_errors=True)


def written(store: Store, file: Path, format: str, data: str, stop: Event) -> int:
    """Write what a selection has of the format's kind, until `stop`; how many rows that is."""
    chosen = picking.select(store, formats.named(format).kind, Selection.parse(data))
    return formats.write(file, takewhile(lambda _: not stop.is_set(), chosen), format)


async def _receive(request: Request, file: Path) -> int:
    size = 0
    try:
        with file.open("xb") as stream:
            async for chunk in request.stream():
                size += len(chunk)
                if size > LARGEST:
                    raise UserError(
                        f"The file is larger than {LARGEST >> 30} GiB.",
                        kept="Nothing of it was kept.",
                        do="Send it in parts, or import it at the terminal: tuner import FILE",
                    )
                await asyncio.to_thread(stream.write, chunk)
    except OSError as error:
        raise UserError(
            f"The file cannot be kept here: {error.strerror}.",
            kept="Nothing of it was kept.",
            do="Free some space, then send it again.",
        ) from error
    if not size:
        raise UserError("The file is empty.", do="Choose another.")
    return size


def _intake(file: Path, how: How) -> Intake:
    return Intake(file, how.format, parse_columns(how.columns), how.prompt.strip())


def _as_text(columns: Mapping[str, str]) -> str:
    return ",".join(f"{role}={name}" for role, name in columns.items())


def _row(example: Example, line: int, language: str) -> dict[str, Any]:
    prompt, replies = gist(example)
    return {
        "line": line,
        "kind": translate(kind_of(example), language),
        "prompt": one_line(prompt, 200),
        "replies": [one_line(reply, 200) for reply in replies],
    }


def _require_admin(request: Request) -> Member:
    member: Member = request.state.member
    if member.role != "admin":
        raise _not_yours()
    return member


def _not_yours() -> UserError:
    return UserError("This is for an admin alone.", kept="Nothing was changed.")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _note(store: Store, member: Member, action: str, detail: str, address: str) -> None:
    audit.note(store, action, person=member.name, detail=detail, address=address)
