"""Files in and out of the page: looked at before they are kept, and nothing but by an admin."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import JSONResponse

from engine.errors import UserError
from tuner_app.page import files
from tuner_app.page.database import Database
from tuner_app.paths import Home
from tuner_app.store import Store, audit, examples, members, picking, snapshots

PAIRS = "\n".join(
    [
        json.dumps({"prompt": "<b>one</b>", "chosen": "a", "rejected": "b"}),
        json.dumps({"prompt": "two"}),
        json.dumps({"prompt": "three", "chosen": "c", "rejected": "d"}),
    ]
)


@contextmanager
def served(home: Home, role: str = "admin") -> Iterator[tuple[TestClient, Store]]:
    """The routes, for a member of this role."""
    store = Store.open(home.database, migrate=True)
    member = members.get(store, "me") if role == "admin" else members.add(store, "Ana", "reviewer")
    database, app = Database(store), FastAPI()

    @app.middleware("http")
    async def let_in(request: Request, proceed: Any) -> Any:
        request.state.member = member
        return await proceed(request)

    @app.exception_handler(UserError)
    async def told(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"error": error.what, "do": error.do}, 400)

    files.add(app, home, database)
    with TestClient(app) as client:
        yield client, Store.open(home.database)
    database.close()


def send(client: TestClient, text: str | bytes, name: str = "some pairs.jsonl") -> str:
    """Send a file; its token."""
    answer = client.post("/api/import", params={"name": name}, content=text)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["upload"])


def read(client: TestClient, token: str, **how: Any) -> dict[str, Any]:
    """What is said of a file."""
    found: dict[str, Any] = client.post(f"/api/import/{token}", json=how).json()
    return found


def test_a_file_is_looked_at_first_and_then_kept_once(tmp_path: Path) -> None:
    with served(Home(tmp_path)) as (client, store):
        token = send(client, PAIRS)
        seen = read(client, token)
        assert (seen["format"], seen["kinds"], seen["refused_count"]) == ("preference", ["2 pairs"], 1)
        assert seen["refused"] == [{"line": 2, "reason": seen["refused"][0]["reason"]}]
        assert seen["rows"][0] == {
            "line": 1,
            "kind": "pair",
            "prompt": "<b>one</b>",
            "replies": ["a", "b"],
        }
        assert picking.available(store, "pair").examples == 0
        kept = read(client, token, keep=True)
        assert (kept["new"], kept["known"], kept["refused_count"]) == (2, 0, 1)
        assert snapshots.sources(store) == ["some pairs.jsonl"]
        assert "Send it again" in read(client, token, keep=True)["do"]
        assert not [*(tmp_path / "uploads").iterdir()]
        assert [entry.action for entry in audit.listed(store)] == ["import"]


def test_unknown_columns_come_back_with_a_guess_that_works(tmp_path: Path) -> None:
    with served(Home(tmp_path)) as (client, _):
        token = send(client, "question,reply\nhow,so\nwhy,because\n", "t.csv")
        guessed = read(client, token)
        assert "error" in guessed
        assert read(client, token, columns=guessed["columns"])["kinds"] == ["2 demonstrations"]
        assert read(client, token, columns="nonsense")["error"]


def test_what_was_written_comes_out_again(tmp_path: Path) -> None:
    with served(Home(tmp_path)) as (client, store):
        read(client, send(client, PAIRS), keep=True)
        answer = client.get("/api/export", params={"format": "preference"})
        assert "preference.jsonl" in answer.headers["content-disposition"]
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert sorted(row["chosen"] for row in rows) == ["a", "c"]
        assert audit.listed(store)[0].detail == "2 rows as preference: all"
        assert not [*(tmp_path / "uploads").iterdir()]
        for wrong in ({"format": "nothing"}, {"format": "messages"}, {"format": "alpaca", "data": "x:y"}):
            assert client.get("/api/export", params=wrong).status_code == 400
        wrong = {"format": "preference", "container": "/../../x.jsonl"}
        assert client.get("/api/export", params=wrong).status_code == 400


def test_only_an_admin_may(tmp_path: Path) -> None:
    with served(Home(tmp_path), "reviewer") as (client, store):
        assert client.post("/api/import", content=PAIRS).status_code == 400
        assert client.post("/api/import/abcdefgh", json={}).status_code == 400
        assert client.get("/api/export", params={"format": "preference"}).status_code == 400
        assert audit.listed(store) == []
    assert not (tmp_path / "uploads").exists()


@pytest.mark.parametrize("part", ["_prepared", "_keep"])
@pytest.mark.parametrize("act", ["lower", "revoke"])
def test_nothing_is_imported_for_who_is_no_admin_any_more_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, act: str
) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(PAIRS, encoding="utf-8")
    store = Store.open(tmp_path / "tuner.sqlite", migrate=True)
    ana = members.add(store, "Ana", "admin")
    real = getattr(examples, part)

    def meanwhile(*arguments: Any) -> Any:
        if act == "lower":
            members.change(store, "Ana", role="reviewer", daily_limit=None)
        else:
            members.revoke(store, "Ana")
        return real(*arguments)

    monkeypatch.setattr(examples, part, meanwhile)
    with pytest.raises(UserError, match="for an admin alone"):
        files.keep(store, file, files.How.model_validate({}), ana, "")
    assert picking.available(store, "pair").examples == 0
    assert snapshots.sources(store) == []
    assert not [entry for entry in audit.listed(store) if entry.action == "import"]
    store.close()


def test_a_file_that_is_too_large_or_empty_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LARGEST", 100)
    with served(Home(tmp_path)) as (client, _):
        for content in (b"x" * 101, b""):
            assert client.post("/api/import", content=content).status_code == 400
        assert not [*(tmp_path / "uploads").iterdir()]


@pytest.mark.parametrize("token", ["..", "../x", "%2e%2e", "a" * 200, "........", "uploads"])
def test_a_token_names_no_other_folder(tmp_path: Path, token: str) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "secret").write_text("x")
    with pytest.raises(UserError):
        files.Uploads(tmp_path / "uploads").find(token)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\\\data\\\\rows.csv", "rows.csv"),
        ("..", "data"),
        ("a\x00\x1bb.json", "a__b.json"),
        ("x" * 300 + ".jsonl.gz", "x" * 111 + ".jsonl.gz"),
    ],
)
def test_a_file_keeps_the_last_part_of_its_name(name: str, safe: str) -> None:
    assert files.safe_name(name) == safe


def test_what_is_a_day_old_goes(tmp_path: Path) -> None:
    uploads = files.Uploads(tmp_path / "uploads")
    old, new = uploads.new("a"), uploads.new("b")
    os.utime(old.parent, (0, 0))
    uploads.sweep()
    assert (old.parent.exists(), new.parent.exists()) == (False, True)
