"""Several processes train what one trains: equal losses, one writer, exact resume."""

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import killing
import pytest
import small_run
import torch
from killing import Kill
from safetensors.torch import load_file
from small_run import Reports, run
from test_memory import full_above

from engine import adapters, checkpoints, loop, losses, processes
from engine.errors import UserError
from engine.processes import Place
from engine.spec import Adapter, methods

METHODS = list(methods())
PROCESSES = 2
CUT = {"micro_tokens": 40}  # short micro-batches, so that each process has several


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    killing.start_server()


def one_of_two(
    number: int,
    meeting: Path,
    folder: Path,
    model: Path,
    method: str,
    spec: dict[str, Any],
    kill: Kill | None,
) -> None:
    """A child: one of the processes of a small run; writes what it reported and the result's hash."""
    processes.meet(Place(number, PROCESSES, number, PROCESSES, f"file://{meeting}"))
    reports = Reports()

    def emit(event: Any) -> None:
        reports(event)
        if kill and event.kind == "step" and len(reports.of("step")) > kill.number:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        result = run(folder, model, method, reports=emit, **spec)  # type: ignore[arg-type]
    except UserError as error:
        meeting.with_name(f"{meeting.name}-{number}.txt").write_text(str(error))
        sys.exit(3)
    except RuntimeError:
        sys.exit(4)  # the connection to the other one broke
    meeting.with_name(f"{meeting.name}-{number}.json").write_text(json.dumps([reports.losses, result.hash]))


def short_of_memory(which: int, number: int, *arguments: Any) -> None:
    """A child as `one_of_two`, in which memory runs out if its number is `which`."""
    if number == which:
        losses.sft = full_above(10, MemoryError(), losses.sft, "log_probs")
    one_of_two(number, *arguments)


def diverging(number: int, *arguments: Any) -> None:
    """A child as `one_of_two`, whose loss is no number after the fourth step."""
    real = loop.Trainer.gradients

    def gradients(trainer: loop.Trainer, *given: Any, **named: Any) -> Any:
        shown = real(trainer, *given, **named)
        return shown if trainer.step < 4 else {**shown, "loss": shown["loss"] * math.nan}

    loop.Trainer.gradients = gradients  # type: ignore[method-assign]
    one_of_two(number, *arguments)


def together(
    folders: tuple[Path, Path],
    model: Path,
    method: str,
    *,
    kill: Kill | None = None,
    child: Callable[..., None] = one_of_two,
    **spec: Any,
) -> Any:
    """Run two processes, one per folder; their exit codes and the names of what they wrote."""
    meeting = folders[0].with_name(f"meeting-{os.urandom(4).hex()}")
    context = multiprocessing.get_context("forkserver")
    both = [
        context.Process(target=child, args=(number, meeting, folder, model, method, spec, kill))
        for number, folder in enumerate(folders)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    wrote = [
        file.read_text()
        for number in range(PROCESSES)
        for file in meeting.parent.glob(f"{meeting.name}-{number}.*")
    ]
    return [process.exitcode for process in both], wrote


def weights(folder: Path) -> bytes:
    return (folder / "adapter" / adapters.WEIGHTS).read_bytes()


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_make_what_one_makes(method: str, model: Path, tmp_path: Path) -> None:
    one, two = Reports(), tmp_path / "two"
    run(tmp_path / "one", model, method, reports=one, options=CUT)
    codes, (first, second) = together((two, two), model, method, options=CUT)
    assert codes == [0, 0]
    found, hash = json.loads(first)
    assert found == pytest.approx(one.losses, rel=1e-5, abs=1e-5)
    assert json.loads(second) == [[], hash]  # the second reports nothing
    assert sorted(path.name for path in two.iterdir()) == ["adapter", "checkpoints"]


@pytest.mark.parametrize("method", METHODS)
def test_two_killed_processes_resume_bit_equal(method: str, model: Path, tmp_path: Path) -> None:
    spec: dict[str, Any] = {"adapter": Adapter(dropout=0.2), "options": CUT}
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    assert together((straight, straight), model, method, **spec)[0] == [0, 0]
    codes, _ = together((broken, broken), model, method, kill=Kill("step", 2), **spec)
    assert codes == [-signal.SIGKILL, 4]
    assert together((broken, broken), model, method, **spec)[0] == [0, 0]
    assert weights(broken) == weights(straight)


def test_two_that_diverge_go_back_together(model: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    codes, (first, second) = together((two, two), model, "reward", child=diverging)
    assert codes == [3, 3]
    assert first == second
    assert "no longer a number at step 5 of 6.\nThe checkpoint of step 2 is safe." in first
    kept = load_file(two / "checkpoints" / "step-000002" / checkpoints.TENSORS)
    for name, tensor in load_file(two / "adapter" / adapters.WEIGHTS).items():
        assert torch.equal(tensor, kept[f"trained/{name}"])


@pytest.mark.parametrize("which", range(PROCESSES))
def test_where_one_runs_out_of_memory_both_compute_less_at_a_time(
    which: int, model: Path, tmp_path: Path
) -> None:
    one, two = Reports(), tmp_path / "two"
    run(tmp_path / "one", model, "sft", reports=one)
    codes, (first, second) = together((two, two), model, "sft", child=partial(short_of_memory, which))
    assert codes == [0, 0]
    found, hash = json.loads(first)
    assert found == pytest.approx(one.losses, rel=1e-5, abs=1e-5)
    assert json.loads(second) == [[], hash]
    [*_, last] = sorted((two / "checkpoints").iterdir())
    assert load_file(last / checkpoints.TENSORS)["room/micro_tokens"] < small_run.OPTIONS["micro_tokens"]


def test_another_number_of_processes_goes_on_aloud(model: Path, tmp_path: Path) -> None:
    assert together((tmp_path, tmp_path), model, "sft", kill=Kill("step", 2), options=CUT)[0][0] != 0
    reports = Reports()
    run(tmp_path, model, "sft", reports=reports, options=CUT)
    assert [step["step"] for step in reports.of("step")] == [3, 4, 5, 6]
    assert any("made by 2 processes" in data["message"] for data in reports.of("warning"))


def test_processes_that_do_not_share_a_folder_are_told(model: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert together((here, here), model, "sft", kill=Kill("step", 2), options=CUT)[0][0] != 0
    codes, wrote = together((here, there), model, "sft", options=CUT)
    assert codes == [3, 3]
    assert all("differ in checkpoint: 2, 0" in text for text in wrote)
    assert not there.exists()


@pytest.mark.parametrize("name", ["FSDP", "DEEPSPEED", "PARALLELISM_CONFIG"])
def test_cut_up_weights_are_refused(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "true")
    with pytest.raises(UserError, match=name):
        run(tmp_path, model, "sft")


LAUNCHED = """
    import json, os, sys
    from pathlib import Path
    import small_run
    folder, model, method = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    reports = small_run.Reports()
    result = small_run.run(folder, model, method, reports=reports, options={"micro_tokens": 40})
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps([reports.losses, result.hash]))
"""


@pytest.mark.slow
# the second: a setting of accelerate's that is not to change a run
@pytest.mark.parametrize(("method", "mixed"), [("sft", "no"), ("dpo", "bf16")])
def test_the_loop_runs_under_accelerate_launch(method: str, mixed: str, model: Path, tmp_path: Path) -> None:
    one, two = Reports(), tmp_path / "two"
    run(tmp_path / "one", model, method, reports=one, options=CUT)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(LAUNCHED))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += [
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        mixed,
        "--gradient_accumulation_steps",
        "4",
    ]
    launch += ["--main_process_port", "0", str(script), str(two), str(model), method]
    here = Path(__file__).parent
    path = os.pathsep.join(map(str, [here, here.parent, here.parents[1]]))
    environment = os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(tmp_path)}
    done = subprocess.run(launch, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    found, hash = json.loads((two / "0.json").read_text())
    assert found == pytest.approx(one.losses, rel=1e-5, abs=1e-5)
    assert json.loads((two / "1.json").read_text()) == [[], hash]
