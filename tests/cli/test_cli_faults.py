from contextlib import closing

import pytest

from tuner_app import console, doctor, store
from tuner_app.store import sqlite, waiting
from tuner_app.workers import supervisor


def test_an_unknown_method_lists_those_that_there_are(tuner):
    said = tuner("train", "magic")
    assert said.status == 1
    assert "dpo, kto, ppo, reward, sft" in said.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--epochs", "many"), "takes a whole number"),
        (("--learning-rate", "nan"), "takes a number"),
        (("--learning-rate", "7"), "out of range"),
        (("--data", "nothing"), "nothing"),
        (("--from", "nobody"), "no adapter “nobody”"),
        (("--rank", "0"), "at least 1"),
        (("--kind", "full", "--precision", "nf4"), "4-bit base cannot be trained"),
    ],
)
def test_a_wrong_option_says_what_it_takes(tuner, words, reason):
    said = tuner("train", "sft", *words)
    assert said.status == 1
    assert reason in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("words", "reason", "now"),
    [
        ("trian sft", "No such command 'trian'", "tuner [OPTIONS] [COMMAND]"),
        (
            "train sft --eposh 2",
            "“tuner train sft” has no option --eposh",
            "mean --epochs? All that it takes: ",
        ),
        ("train sft --epochs", "--epochs needs a value after it", "--help"),
        ("train sft --seed x", "--seed takes a whole number, not “x”.", "tuner train sft --help"),
        ("train sft --precision fp8", "takes one of auto, fp32, bf16, nf4, not “fp8”.", "--help"),
        ("train sft --machines /", "--machines is wrong: File '/' is a directory.", "--help"),
        ("train sft extra", "unexpected extra argument (extra).", "tuner train sft [OPTIONS]"),
        ("import", "“tuner import” needs FILES.", "Type it like this: tuner import [OPTIONS] FILES"),
        ("runs foo", "takes one of list, show, stop, pause, resume, log, not “foo”.", "tuner runs --help"),
        ("page --port 65536", "--port takes a whole number from 0 to 65535, not “65536”.", "--help"),
        ("serve --port -1", "--port takes a whole number from 0 to 65535, not “-1”.", "--help"),
        ("people add B --limit -1", "--limit takes a whole number from 0 on, not “-1”.", "--help"),
        ("bench sft", "“tuner bench” needs --model.", "Type it like this: tuner bench [OPTIONS] METHOD"),
    ],
)
def test_a_command_that_is_typed_wrong_says_what_is_wrong_and_what_now(tuner, words, reason, now):
    said = tuner(*words.split())
    assert (said.status, said.out) == (2, "")
    first, then = said.err.splitlines()
    assert reason in first
    assert now in then


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--checkpointing"], "yes"),
        (["--checkpointing", "--epochs", "2"], "yes"),
        (["--checkpointing", "yes"], "yes"),
        (["--checkpointing", "no"], "no"),
        (["--no-checkpointing"], "no"),
    ],
)
def test_yes_and_no_can_be_said_with_a_word_or_without(tuner, monkeypatch, words, value):
    asked = []
    monkeypatch.setattr(console, "train", lambda home, store, plan, *_, **__: asked.append(plan) or 0)
    assert tuner("train", "sft", *words).status == 0
    assert asked[0].options["checkpointing"] == value


def test_a_home_that_is_a_file_is_said_to_be_one(tuner, tmp_path):
    (tmp_path / "home").touch()
    assert "cannot be made: it is a file." in tuner("runs").err


def test_too_little_data_says_how_much_there_is_and_where_it_comes_from(tuner):
    said = tuner("train", "sft")
    assert said.status == 1
    assert "at least 2, and there are 0" in said.err
    assert "tuner import" in said.err


@pytest.mark.parametrize("base", [(), ("--base", "builtin")])
def test_a_reward_model_is_not_chatted_with(tuner, tmp_path, monkeypatch, base):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}')
    assert tuner("import", file).status == 0
    opened = store.Store.open(tmp_path / "home" / "tuner.sqlite")
    on = store.models.add_base(opened, "builtin", "builtin")
    snapshot = store.snapshots.take(opened, "pair")
    made_by = {"spec": {"method": "reward"}, "base_id": on.id, "snapshot_hash": snapshot.hash}
    run = store.runs.create(opened, name="judge", **made_by)
    store.models.add_adapter(opened, name="judge", base_id=on.id, run_id=run.id, folder="judge", hash="h")
    opened.close()
    monkeypatch.setattr(supervisor, "ensure_chat", lambda *_: pytest.fail("a model was loaded"))
    said = tuner("chat", "Hello!", "--model", "judge", *base)
    assert said.status == 1
    assert "judge is a reward model: it scores answers and gives none" in said.err
    assert "tuner train ppo --reward judge" in said.err


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("NORMAL", ["people", "add", "Bob"]),
        ("EXCLUSIVE", ["runs"]),  # where even to read, and so to open, is to wait
        ("EXCLUSIVE", []),
    ],
)
def test_a_long_wait_for_the_database_is_said_once(tuner, tmp_path, monkeypatch, mode, words):
    assert tuner("runs").status == 0
    monkeypatch.setattr(waiting, "LONG_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "BUSY_SECONDS", 1.0)
    file = tmp_path / "home" / "tuner.sqlite"
    with closing(sqlite.open_raw(file)) as other:
        other.execute(f"PRAGMA locking_mode={mode}")
        other.execute("BEGIN EXCLUSIVE")
        said = tuner(*words)
    first, then, *_ = said.err.splitlines()
    assert first == f"Another program holds the database {file}; waiting up to 1 seconds …"
    assert then.startswith("Another program has kept the database")
    assert said.status == 1


def test_the_terminal_app_is_given_a_store_that_says_so_until_it_does_itself(tuner, monkeypatch):
    monkeypatch.setattr("tuner_app.tui.app.run", lambda home, store: store.waiting.on_long() or 0)
    assert "Another program holds the database" in tuner().err


def test_an_action_needs_a_run_that_exists(tuner):
    assert "tuner runs stop RUN" in tuner("runs", "stop").err
    assert "no run “x”" in tuner("runs", "show", "x").err


def test_a_fault_of_ours_is_written_down_and_not_shown(tuner, tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of no account")

    monkeypatch.setattr(store.Store, "open", broken)
    said = tuner("runs")
    assert said.status == 1
    assert "Traceback" not in said.err
    assert "of no account" in (tmp_path / "home" / "fault.log").read_text(encoding="utf-8")


def test_a_newer_database_is_refused_and_left_alone(tuner, tmp_path):
    tuner("runs")
    file = tmp_path / "home" / "tuner.sqlite"
    opened = store.Store.open(file)
    opened.db.execute("PRAGMA user_version = 999")
    opened.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    before = file.read_bytes()
    said = tuner("runs")
    assert said.status == 1
    assert "newer" in said.err
    assert file.read_bytes() == before


def test_backup_writes_a_copy_that_opens_and_replaces_nothing(tuner, tmp_path):
    assert tuner("backup", tmp_path / "copy.sqlite").status == 0
    store.Store.open(tmp_path / "copy.sqlite").close()
    said = tuner("backup", tmp_path / "copy.sqlite")
    assert said.status == 1
    assert "exists already" in said.err


def test_the_doctor_finds_a_sound_home_sound_and_a_damaged_one_damaged(tuner, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_free_disk", lambda home: 5.0)
    tuner("runs")
    assert tuner("doctor").status == 0
    with open(tmp_path / "home" / "tuner.sqlite", "r+b") as file:
        file.write(b"not a database at all")
    said = tuner("doctor")
    assert said.status == 1
    assert "unusable" in said.out


def test_settings_that_are_broken_are_named_and_kept(tuner, tmp_path):
    tuner("runs")
    file = tmp_path / "home" / "settings.json"
    file.write_text('{"decoding": {"temperature": "hot"}}', encoding="utf-8")
    said = tuner("chat", "hello")
    assert said.status == 1
    assert str(file) in said.err
    assert "temperature" in said.err
