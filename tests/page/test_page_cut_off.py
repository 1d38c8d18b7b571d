"""A large file that is on its way to, or from, somebody who is shut out ends, and nothing of it stays."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gate
import httpx
import pytest

from engine.examples import Demonstration, Example, Message
from tuner_app.page import files
from tuner_app.store import audit, examples, members

SECONDS = 5  # in which who is shut out is out


@pytest.fixture
def page(tmp_path: Path) -> Iterator[gate.Gate]:
    with gate.gate(tmp_path) as served:
        members.add(served.store, "dan", "admin")
        yield served


def within(seconds: float, happens: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def left(page: gate.Gate) -> list[Path]:
    """What lies in the folder of files on their way."""
    return [file for file in (page.home.folder / "uploads").rglob("*") if file.is_file()]


def test_an_export_on_its_way(page: gate.Gate) -> None:
    long = "x" * 1_000_000
    rows: list[tuple[Example, int]] = [
        (Demonstration((Message("user", str(n)), Message("assistant", long))), n) for n in range(60)
    ]
    examples.add(page.store, rows, source="big")
    with page.client("dan") as dan, dan.stream("GET", "/api/export?format=messages") as answer:
        parts = answer.iter_raw()
        next(parts)
        assert left(page)
        members.revoke(page.store, "dan")
        assert within(SECONDS, lambda: not left(page)), "it is no longer sent, and deleted"
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)


def test_an_export_that_is_being_written(page: gate.Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    def endless(*_: Any) -> Iterator[Example]:
        begun.set()
        try:
            while True:
                time.sleep(0.01)
                yield Demonstration((Message("user", "a"), Message("assistant", "b")))
        finally:
            ended.set()

    monkeypatch.setattr(files.picking, "select", endless)
    asking = threading.Thread(target=lambda: _ask(page), daemon=True)
    asking.start()
    assert begun.wait(10)
    members.revoke(page.store, "dan")
    assert ended.wait(SECONDS), "nobody works for them any more"
    assert within(1, lambda: not left(page))
    asking.join(5)
    assert not asking.is_alive()


def _ask(page: gate.Gate) -> None:
    try:
        with page.client("dan") as dan:
            dan.get("/api/export?format=messages")
    except httpx.TransportError:
        pass


def test_an_import_on_its_way(page: gate.Gate) -> None:
    since: list[float] = []

    def shut_out_now() -> None:
        members.revoke(page.store, "dan")
        since.append(time.monotonic())

    def slowly() -> Iterator[bytes]:
        for _ in range(200):
            time.sleep(0.05)
            yield b"x" * 50_000

    with page.client("dan") as dan:
        shut_out = threading.Timer(0.5, shut_out_now)
        shut_out.start()
        try:
            answer = dan.post("/api/import?name=a.jsonl", content=slowly())
            assert answer.status_code >= 400
        except httpx.TransportError:
            pass
        ended = time.monotonic()
    shut_out.join()
    assert 0 < ended - since[0] < SECONDS
    assert left(page) == []


def test_an_import_that_is_being_kept(page: gate.Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, goes_on = threading.Event(), threading.Event()
    parts = examples._unspool

    def slowly(*given: Any) -> Iterator[Any]:
        for part in parts(*given):
            yield part
            begun.set()
            assert goes_on.wait(10)

    monkeypatch.setattr(examples, "_BATCH", 5)
    monkeypatch.setattr(examples, "_unspool", slowly)
    rows = [{"prompt": f"{n}", "chosen": "a", "rejected": "b"} for n in range(20)]
    answers = []
    with page.client("dan") as dan:
        sent = dan.post("/api/import?name=a.jsonl", content="\n".join(map(json.dumps, rows)))
        keeping = threading.Thread(
            target=lambda: answers.append(
                dan.post(f"/api/import/{sent.json()['upload']}", json={"keep": True})
            )
        )
        keeping.start()
        assert begun.wait(10)
        members.revoke(page.store, "dan")
        goes_on.set()
        keeping.join(10)
    (answer,) = answers
    assert (answer.status_code, answer.json()["kept"]) == (400, "Nothing was changed.")
    assert examples.count(page.store) == {}
    assert "import" not in [entry.action for entry in audit.listed(page.store)]
