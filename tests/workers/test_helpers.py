"""Runs of several processes: started, stopped, killed, and on several machines."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from places import OPTIONS, Place
from test_train_worker import LONG, wait_for

from engine.errors import UserError
from tuner_app import launch, machines
from tuner_app.machines import Machines
from tuner_app.store import runs
from tuner_app.store.run_rows import Run
from tuner_app.workers import helper, locks, supervisor

TWO = Machines(processes=2)
LOADED = 240  # seconds that two processes may take to load, on a busy machine


def start(place: Place, name: str, where: Machines = TWO, options: dict[str, object] = OPTIONS) -> Run:
    run = launch.prepare(place.store, place.home, place.plan(name=name, options=options))
    machines.note(place.home.run(run.name), where)
    supervisor.start_run(place.home, place.store, run)
    return run


def ended(place: Place, run: Run) -> Run:
    lock = locks.run(place.home, run.name)
    wait_for(lambda: locks.owner(lock) is None, LOADED)
    return place.run(run.name)


def losses(place: Place, run: Run) -> list[float]:
    return [event.data["loss"] for event in runs.events(place.store, run.id, kinds=["step"], limit=10**6)]


def helpers_of(pid: int) -> list[int]:
    """The processes that the worker `pid` has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("where", [TWO, Machines(processes=2, shard=True)], ids=["whole", "sharded"])
def test_two_processes_train_pause_and_go_on(where: Machines, place: Place) -> None:
    alone = place.trained(place.plan(name="alone"))
    run = start(place, "two", where)
    wait_for(lambda: losses(place, run), LOADED)
    supervisor.stop_run(place.home, place.store, run, request="pause", grace=60)
    assert place.run("two").status == "paused"
    supervisor.start_run(place.home, place.store, run)
    assert ended(place, run).status == "done"
    assert losses(place, run) == pytest.approx(losses(place, alone), rel=1e-4, abs=1e-5)
    assert not (place.home.run("two") / "meeting").exists()


def training(place: Place, name: str) -> tuple[Run, int, int]:
    """A long run on two processes that has begun to train, with the numbers of both."""
    run = start(place, name, options=LONG)
    wait_for(lambda: losses(place, run), LOADED)
    pid = place.run(name).pid
    assert pid
    [helper] = helpers_of(pid)
    return run, pid, helper


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_helper_that_dies_fails_the_run_with_the_reason(place: Place) -> None:
    run, _, helper = training(place, "hurt")
    os.kill(helper, signal.SIGKILL)
    failed = ended(place, run)
    assert failed.status == "failed"
    assert failed.error.startswith("Process 2 of the run was killed by signal 9.")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_helper_outlives_the_main_process(place: Place) -> None:
    _, pid, helper = training(place, "left")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not alive(helper), 10)
    [dead] = supervisor.reap(place.home, place.store)
    assert dead.status == "failed"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_machines(place: Place, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for rank in (0, 1):
        text = f'main = "127.0.0.1"\nport = {port}\nmachines = 2\nrank = {rank}\n'
        (tmp_path / f"{rank}.toml").write_text(text)
    alone = place.trained(place.plan(name="alone"))
    command = [
        sys.executable,
        "-c",
        "from tuner_app.cli import main; main()",
        "--home",
        str(tmp_path / "other"),
        "train",
        "sft",
    ]
    other = subprocess.Popen([*command, "--machines", str(tmp_path / "1.toml")])
    run = start(place, "both", machines.asked(1, tmp_path / "0.toml"))
    assert ended(place, run).status == "done"
    assert other.wait(30) == 0
    assert losses(place, run) == pytest.approx(losses(place, alone), rel=1e-4, abs=1e-5)
    assert not (tmp_path / "other").exists()  # it needs no database


@pytest.mark.parametrize("broken", [True, False])
def test_a_helper_says_that_the_connection_broke_and_hides_no_fault_of_ours(
    broken: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["helper", "--number", "1", "--processes", "2", "--local", "0", "--here", "1"]
    monkeypatch.setattr(sys, "argv", [*words, "--meeting", "tcp://x:1", "--method", "sft"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(helper, "_end_with_input", lambda: None)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("[pair.cc:553] Connection closed by peer" if broken else "shapes do not match")

    monkeypatch.setattr(helper, "help", fail)
    if broken:
        assert helper.main() == 1
        assert capsys.readouterr().err.startswith("The run ended elsewhere, or the connection to it broke")
    else:
        with pytest.raises(RuntimeError, match="shapes"):
            helper.main()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("machines = 2", "lacks main and port"),
        ('main = "a"\nport = 1\nmachines = 2\nrank = 2', "rank 2 of 2"),
        ("processes = 0", "out of range"),
        ("proceses = 2", "Unknown setting"),
        ("processes = ", "cannot be read"),
        ("processes = 4", "says 4 processes on each machine, and --processes 2"),
    ],
)
def test_a_file_of_machines_that_makes_no_sense(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "machines.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        machines.asked(2, file)


def test_the_format_that_is_shown_is_one_that_works(tmp_path: Path) -> None:
    file = tmp_path / "machines.toml"
    file.write_text(machines.FORMAT)
    found = machines.asked(1, file)
    assert (found.total, found.rank, found.meeting(tmp_path)) == (2, 0, "tcp://10.0.0.1:29500")
    with pytest.raises(UserError, match="No such file"):
        machines.asked(1, tmp_path / "absent.toml")


def test_sharding_is_asked_for_by_option_or_file(tmp_path: Path) -> None:
    file = tmp_path / "machines.toml"
    file.write_text("processes = 2")
    assert not machines.asked(1, file).shard
    assert machines.asked(1, file, shard=True).shard
    file.write_text("processes = 2\nshard = true")
    assert machines.asked(1, file).shard
    with pytest.raises(UserError, match="there is one"):
        machines.asked(1, None, shard=True)


def test_one_process_unless_noted_otherwise(tmp_path: Path) -> None:
    assert machines.of_run(tmp_path) == Machines()
    machines.note(tmp_path, TWO)
    assert machines.of_run(tmp_path) == TWO
    assert TWO.total == 2
