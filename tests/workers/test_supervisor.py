"""Finding, starting, replacing and ending the chat worker."""

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tiny
from places import PROMPT, Place

from engine.errors import UserError
from tuner_app import launch
from tuner_app.client import ChatClient
from tuner_app.paths import Home
from tuner_app.workers import locks, supervisor

MESSAGES = [{"role": "user", "content": PROMPT}]


@pytest.mark.slow
async def test_a_killed_chat_worker_is_replaced_and_another_base_takes_over(
    place: Place, tmp_path: Path
) -> None:
    lines: list[str] = []
    with ThreadPoolExecutor(2) as pool:  # two interfaces at once
        asked = [
            pool.submit(supervisor.ensure_chat, place.home, str(place.model), on_line=lines.append)
            for _ in range(2)
        ]
    first, same = (future.result() for future in asked)
    assert first == same
    assert supervisor.chat_endpoint(place.home) == first
    assert lines[-1] == "Serving tiny."
    assert stat.S_IMODE((place.home.workers / "chat.json").stat().st_mode) == 0o600
    assert supervisor.ensure_chat(place.home, "tiny") == first

    os.kill(first.pid, signal.SIGKILL)
    client = ChatClient(first.url, first.key)
    while supervisor.chat_endpoint(place.home):
        time.sleep(0.02)
    with pytest.raises(UserError, match="cannot be reached") as caught:
        await client.complete(MESSAGES)
    assert "in the database" in caught.value.kept

    other = tiny.save_model(tmp_path / "other", seed=1)
    second = supervisor.ensure_chat(place.home, str(other))
    assert (second.base, second.source) == ("other", str(other))
    third = supervisor.ensure_chat(place.home, str(place.model))
    assert third.base == "tiny"
    assert locks.owner(locks.chat(place.home)) == third.pid
    supervisor.stop_chat(place.home)
    assert supervisor.chat_endpoint(place.home) is None
    assert not Path(f"/proc/{third.pid}").exists()


@pytest.fixture
def other_window(place: Place, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A chat worker of another base, as the supervisor sees it; what it says of itself can be changed."""
    health: dict[str, object] = {"status": "ready", "requests": 1}
    alive = supervisor.Endpoint("http://127.0.0.1:1", "key", 1, "other")
    monkeypatch.setattr(supervisor, "chat_endpoint", lambda home: alive)
    monkeypatch.setattr(supervisor, "_health", lambda endpoint: health)
    monkeypatch.setattr(supervisor, "BUSY_POLL", 0.01)
    return health


def test_an_answer_of_another_window_is_not_cut_off(
    place: Place, other_window: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "stop_chat", lambda home: pytest.fail("it was answering"))
    lines: list[str] = []
    with pytest.raises(UserError, match="other has been loading or answering in another window"):
        supervisor.ensure_chat(place.home, str(place.model), timeout=0.2, on_line=lines.append)
    assert set(lines) == {"Waiting for an answer of other to end …"}


def test_a_worker_that_another_window_waits_for_is_not_ended_until_it_could_be_asked(
    place: Place, other_window: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window that waits is a process, which is killed in the end."""

    class Ended(Exception):  # noqa: N818 - the test's own end
        pass

    def stop(home: object) -> None:
        assert other.poll() is not None, "somebody waits for it"
        raise Ended

    place.home.workers.mkdir(exist_ok=True)
    holds = "import fcntl, sys; held = open(sys.argv[1], 'w'); fcntl.flock(held, fcntl.LOCK_EX)"
    waits = f"{holds}; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", waits, str(locks.starting(place.home))]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout
    other.stdout.readline()
    other_window.update(status="loading", requests=0)
    monkeypatch.setattr(supervisor, "stop_chat", stop)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == 3:
            other.kill()
            other.wait()

    with pytest.raises(Ended):
        supervisor.ensure_chat(place.home, str(place.model), on_line=say)
    assert lines[:3] == ["Waiting for other to load for another window …"] * 3
    assert lines[-2:] == [
        "Waiting for other …",
        f"{place.model} takes the place of other, in every window of this home.",
    ], "who waited for it to load could ask it first"


def test_it_is_said_that_another_base_takes_over(
    place: Place, other_window: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(Exception):  # noqa: N818 - the test's own end
        pass

    def stop(home: object) -> None:
        raise Ended

    other_window["requests"] = 0
    monkeypatch.setattr(supervisor, "stop_chat", stop)
    lines: list[str] = []
    with pytest.raises(Ended):
        supervisor.ensure_chat(place.home, str(place.model), on_line=lines.append)
    assert lines == [f"{place.model} takes the place of other, in every window of this home."]


@pytest.mark.slow
def test_a_worker_that_nobody_asks_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "IDLE_CHAT", 1)
    supervisor.ensure_chat(place.home, str(place.model))
    deadline = time.monotonic() + 15
    while supervisor.chat_endpoint(place.home) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert supervisor.chat_endpoint(place.home) is None


def test_a_folder_that_cannot_be_written(place: Place) -> None:
    place.home.workers.write_text("in the way")
    with pytest.raises(UserError, match="cannot be made"):
        supervisor.ensure_chat(place.home, str(place.model))
    run = launch.prepare(place.store, place.home, place.plan())
    (place.home.run(run.name) / "log.txt").mkdir(parents=True)
    with pytest.raises(UserError, match="cannot be started: Is a directory"):
        supervisor.start_run(place.home, place.store, run)
    assert supervisor.reap(place.home, place.store)[0].status == "failed"


def test_a_worker_that_ends_says_why(place: Place, tmp_path: Path) -> None:
    pickled = tiny.save_model(tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"only pickle weights \(pytorch_model.bin\)"):
        supervisor.ensure_chat(place.home, str(pickled))
    with pytest.raises(UserError, match="There is no model folder"):
        supervisor.ensure_chat(place.home, str(tmp_path / "nowhere"))


@pytest.mark.slow
def test_broken_weights_end_the_worker_with_the_reason(place: Place, tmp_path: Path) -> None:
    broken = tiny.save_model(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="cannot be loaded") as caught:
        supervisor.ensure_chat(place.home, str(broken))
    assert "Traceback" not in str(caught.value)


def test_a_chat_worker_that_ends_without_a_word_may_have_had_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    home.create()
    monkeypatch.setattr(supervisor, "_start_chat", lambda *_: True)
    with pytest.raises(UserError, match="left no word: the disk may be full"):
        supervisor.ensure_chat(home, "builtin")


def test_a_second_chat_worker_refuses(shared_place: Place) -> None:
    command = [sys.executable, "-m", "tuner_app.workers.chat", "--home", str(shared_place.home.folder)]
    ended = subprocess.run([*command, "--base", "builtin"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == f"Another chat worker serves {shared_place.home.folder}.\nIt goes on.\n"


def test_a_file_left_by_a_dead_worker_is_no_endpoint(place: Place) -> None:
    place.home.workers.mkdir()
    (place.home.workers / "chat.json").write_text('{"url": "u", "key": "k", "pid": 1, "base": "b"}')
    assert supervisor.chat_endpoint(place.home) is None
    lock = locks.hold(locks.chat(place.home))
    assert lock is not None
    with lock:
        assert locks.owner(locks.chat(place.home)) == 0  # a worker is being started
        assert supervisor.chat_endpoint(place.home) is None
        locks.sign(lock, os.getpid())
        assert locks.owner(locks.chat(place.home)) == os.getpid()
        assert supervisor.chat_endpoint(place.home) is None
        assert locks.hold(locks.chat(place.home)) is None
    assert locks.owner(locks.chat(place.home)) is None
    supervisor.stop_chat(place.home)  # nobody to end: in particular not process 1


def test_no_torch_on_this_side() -> None:
    code = (
        "import sys, tuner_app.launch, tuner_app.client, tuner_app.workers.supervisor\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'bitsandbytes'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
