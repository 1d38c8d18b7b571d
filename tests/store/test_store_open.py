"""Opening a database: what is made, what is refused and left untouched, how it is brought up to date."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysqlite3 as sqlite3
import pytest

from engine.errors import UserError
from tuner_app.store import Store, chats, migrations, sqlite, waiting

# Opens a database as the command line does, and prints what that has imported.
OPEN = """
import pathlib, sys
from tuner_app.store import Store
Store.open(pathlib.Path(sys.argv[1]), migrate=True)
print(*{name.split(".")[0] for name in sys.modules})
"""


def contents(folder: Path) -> dict[str, bytes]:
    """Only while no connection is open: closing a file frees the locks that this process has on it."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}


def made(path: Path) -> Path:
    store = Store.open(path, migrate=True)
    chats.start(store, title="before")
    store.close()
    return path


def add_step(monkeypatch: pytest.MonkeyPatch, step: Callable[[Any], None]) -> None:
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
    monkeypatch.setattr(migrations, "LATEST", len(migrations.STEPS))


def newer(db: Any) -> None:
    db.execute("ALTER TABLE conversations ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'")


def test_the_whole_schema(store: Store) -> None:
    rows = store.query("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name")
    expected = (Path(__file__).parent / "schema.sql").read_text(encoding="utf-8")
    assert "\n\n".join(row["sql"] + ";" for row in rows) + "\n" == expected


def test_every_table_is_strict(store: Store) -> None:
    loose = store.query(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict"
    )
    assert {row["name"] for row in loose} == {"sqlite_schema", "_sqlite_migrations"}


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    store = Store.open(path, migrate=True)
    assert sqlite.header(path) == (migrations.APPLICATION_ID, migrations.LATEST)
    assert store.query("PRAGMA integrity_check")[0][0] == "ok"
    assert not (path.parent / "backups").exists()


def test_only_its_owner_may_read_it(store: Store) -> None:
    chats.start(store)
    for file in store.path.parent.glob("tuner.sqlite*"):
        assert file.stat().st_mode & 0o077 == 0, file


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("recursive_triggers", 1),
    ],
)
def test_pragmas_of_every_connection(store: Store, pragma: str, value: object) -> None:
    assert store.query(f"PRAGMA {pragma}")[0][0] == value


def test_sqlite_is_one_whose_wal_is_safe() -> None:
    assert sqlite3.sqlite_version_info >= (3, 51, 3)


def test_an_affected_sqlite_uses_a_rollback_journal(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAL_IS_SAFE", (99, 0, 0))
    store = Store.open(made(path), migrate=True)
    assert store.query("PRAGMA journal_mode")[0][0] == "delete"
    assert [row.title for row in chats.conversations(store)] == ["before"]


def test_an_affected_sqlite_refuses_a_wal_that_is_in_use(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats.start(store)
    monkeypatch.setattr(sqlite, "WAL_IS_SAFE", (99, 0, 0))
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 0.1)
    with pytest.raises(UserError, match="can corrupt"):
        Store.open(path)


def refused(path: Path, needle: str, *, migrate: bool) -> None:
    before = contents(path.parent)
    with pytest.raises(UserError) as caught:
        Store.open(path, migrate=migrate)
    assert needle in str(caught.value)
    assert caught.value.do
    assert contents(path.parent) == before


@pytest.mark.parametrize("migrate", [False, True])
def test_a_newer_version_is_refused_and_untouched(path: Path, migrate: bool) -> None:
    db = sqlite3.connect(str(made(path)))
    db.execute(f"PRAGMA user_version={migrations.LATEST + 1}")
    db.close()
    refused(path, "newer version", migrate=migrate)


@pytest.mark.parametrize("migrate", [False, True])
def test_a_newer_version_that_was_killed_at_work_is_untouched(
    path: Path, tmp_path: Path, migrate: bool
) -> None:
    """Opening it for writing would move what its log holds into the file."""
    db = sqlite3.connect(str(made(path)), isolation_level=None)
    db.execute(f"PRAGMA user_version={migrations.LATEST + 1}")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("UPDATE conversations SET title = 'in the log'")
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in tmp_path.glob("tuner.sqlite*"):
        if file.suffix != ".lock":
            shutil.copy(file, killed)
    assert (killed / "tuner.sqlite-wal").stat().st_size
    refused(killed / "tuner.sqlite", "newer version", migrate=migrate)


def test_a_newer_version_that_is_still_in_the_log_is_refused(store: Store, path: Path) -> None:
    store.db.execute(f"PRAGMA user_version={migrations.LATEST + 1}")
    assert sqlite.header(path)[1] == migrations.LATEST
    for migrate in (False, True):
        with pytest.raises(UserError, match="newer version"):
            Store.open(path, migrate=migrate)
    assert store.query("PRAGMA user_version")[0][0] == migrations.LATEST + 1


@pytest.mark.parametrize("migrate", [False, True])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_another_applications_database_is_refused_and_untouched(path: Path, migrate: bool, mode: str) -> None:
    db = sqlite3.connect(str(path))
    db.execute(f"PRAGMA journal_mode={mode}")
    db.execute("CREATE TABLE theirs (x)")
    db.commit()
    db.close()
    refused(path, "another application", migrate=migrate)


@pytest.mark.parametrize("migrate", [False, True])
@pytest.mark.parametrize("content", [b"dear diary\n" * 400, b"\x00" * 5000, b"x"])
def test_what_is_no_database_is_refused_and_untouched(path: Path, migrate: bool, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, str(path), migrate=migrate)


@pytest.mark.parametrize("exists", [False, True])
def test_only_the_command_line_makes_one(path: Path, exists: bool) -> None:
    if exists:
        path.touch()
    refused(path, "no database", migrate=False)
    assert path.exists() is exists


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        Store.open(tmp_path / "nowhere" / "tuner.sqlite", migrate=True)


def test_pending_steps_are_refused_without_migrate(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    add_step(monkeypatch, newer)
    refused(path, "older version", migrate=False)


def test_a_step_runs_after_a_backup(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    add_step(monkeypatch, newer)
    store = Store.open(path, migrate=True)
    assert store.query("SELECT title, colour FROM conversations")[0]["colour"] == "blue"
    assert store.query("PRAGMA journal_mode")[0][0] == "wal"
    assert sqlite.header(path)[1] == migrations.LATEST
    (backup,) = (path.parent / "backups").iterdir()
    copy = sqlite3.connect(str(backup))
    assert copy.execute("PRAGMA user_version").fetchone() == (migrations.LATEST - 1,)
    assert copy.execute("SELECT title FROM conversations").fetchall() == [("before",)]
    Store.open(path, migrate=True)
    assert len(list((path.parent / "backups").iterdir())) == 1


def test_a_step_may_rebuild_a_table_that_others_point_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(path, migrate=True)
    conversation = chats.start(store)
    chats.add(store, conversation.id, role="user", content="kept")
    store.close()
    add_step(monkeypatch, lambda db: db["conversations"].transform(rename={"title": "name"}))
    store = Store.open(path, migrate=True)
    assert store.query("SELECT name FROM conversations JOIN messages ON conversation_id = conversations.id")


def test_a_step_that_fails_leaves_everything_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(db: Any) -> None:
        newer(db)
        raise RuntimeError("half way")

    made(path)
    add_step(monkeypatch, broken)
    with pytest.raises(RuntimeError):
        Store.open(path, migrate=True)
    monkeypatch.undo()
    store = Store.open(path)
    assert [row.title for row in chats.conversations(store)] == ["before"]


def test_a_step_that_breaks_references_is_undone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dangling(db: Any) -> None:
        db.execute("UPDATE conversations SET tip_id = 99")

    made(path)
    add_step(monkeypatch, dangling)
    with pytest.raises(UserError, match="do not exist"):
        Store.open(path, migrate=True)
    monkeypatch.undo()
    assert chats.conversations(Store.open(path))[0].tip_id is None


def test_no_step_while_another_program_has_it_open(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats.start(store, title="at work")
    add_step(monkeypatch, newer)
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 0.1)
    with pytest.raises(UserError, match="another program has it open"):
        Store.open(path, migrate=True)
    chats.start(store, title="still at work")


def test_two_programs_that_start_at_once(path: Path) -> None:
    started = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)]) for _ in range(3)]
    assert [program.wait(60) for program in started] == [0, 0, 0]
    assert Store.open(path).query("SELECT count(*) FROM _sqlite_migrations")[0][0] == migrations.LATEST


@pytest.mark.parametrize("new", [True, False])
def test_opening_it_imports_nothing_heavy(path: Path, new: bool) -> None:
    if not new:
        made(path)
    loaded = set(subprocess.check_output([sys.executable, "-c", OPEN, str(path)], text=True).split())
    assert "pysqlite3" in loaded
    assert not {"torch", "transformers", "textual", "pandas", "numpy"} & loaded
    assert ({"click", "sqlite_utils"} <= loaded) is new  # what makes the tables
