"""A base cut up among processes: each holds its part, and trains what a whole one does."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import killing
import pytest
import tiny
import torch
from architectures import COUNTING, EVERY, model_named, random_trees
from killing import Kill
from safetensors.torch import load_file
from small_run import Reports, run
from test_processes import CUT, PROCESSES, short_of_memory, together, weights

from engine import adapters, models, processes
from engine.batches import collate
from engine.errors import UserError
from engine.logps import token_log_probs
from engine.processes import Place
from engine.shards import Shards
from engine.spec import Adapter, methods

METHODS = [name for name, method in methods().items() if not method.needs_reward]
OTHERS = [name for name in (*EVERY, *COUNTING) if name not in ("Llama", "GPT2")]
SLOW = pytest.mark.slow
QUICK = [("dpo", "nf4"), ("kto", "fp32")]  # one with a reference, one with a pass of its own before each step
REST = [(method, name) for method in METHODS for name in ("fp32", "nf4") if (method, name) not in QUICK]


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    killing.start_server()


@pytest.mark.parametrize(
    ("method", "precision"), [*QUICK, *(pytest.param(*pair, marks=SLOW) for pair in REST)]
)
def test_it_trains_what_a_whole_base_does(method: str, precision: str, model: Path, tmp_path: Path) -> None:
    spec: dict[str, Any] = {"precision": precision, "options": CUT}
    one, two = Reports(), tmp_path / "two"
    run(tmp_path / "one", model, method, reports=one, **spec)
    codes, (first, second) = together((two, two), model, method, sharded=True, **spec)
    assert codes == [0, 0]
    found, hash = json.loads(first)
    assert found == pytest.approx(one.losses, rel=1e-5, abs=1e-5)
    assert json.loads(second) == [[], hash]
    made, expected = (load_file(folder / "adapter" / adapters.WEIGHTS) for folder in (two, tmp_path / "one"))
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
def test_killed_it_resumes_and_ends_bit_equal_to_a_whole_base(
    checkpointing: bool, model: Path, tmp_path: Path
) -> None:
    spec: dict[str, Any] = {"options": CUT | {"checkpointing": checkpointing}}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert together((whole, whole), model, "dpo", **spec)[0] == [0, 0]
    assert together((broken, broken), model, "dpo", sharded=True, kill=Kill("step", 2), **spec)[0][0] != 0
    assert together((broken, broken), model, "dpo", sharded=True, **spec)[0] == [0, 0]
    assert weights(broken) == weights(whole)


@pytest.mark.parametrize("which", range(PROCESSES))
def test_where_one_runs_out_of_memory_all_end(which: int, model: Path, tmp_path: Path) -> None:
    child = partial(short_of_memory, which)
    codes, wrote = together((tmp_path, tmp_path), model, "sft", child=child, sharded=True)
    assert codes[which] == 3
    assert codes[1 - which] == 4
    assert "micro_tokens 48" in "".join(wrote)


def held_by_one(number: int, meeting: Path, model: Path, precision: str) -> None:
    """A child: one of two that load the model, which writes how many bytes of memory are behind it."""
    whole = behind(models.load(str(model), precision).model)  # type: ignore[arg-type]
    processes.meet(Place(number, PROCESSES, number, PROCESSES, f"file://{meeting}"))
    base = models.load(str(model), precision, sharded=True)  # type: ignore[arg-type]
    assert base.shards
    at_rest = behind(base.model) + base.shards.held
    base.model(input_ids=torch.tensor([[5, 6, 7]]))
    at_work = behind(base.model) + base.shards.held
    head = base.model.get_output_embeddings().weight.nbytes
    meeting.with_name(f"{number}.json").write_text(json.dumps([whole, at_rest, at_work, head]))


def behind(causal_lm: Any) -> int:
    """Bytes of memory behind a model's parameters, whether it is seen once or twice."""
    storages = [parameter.untyped_storage() for parameter in causal_lm.parameters()]
    return sum({id(storage._cdata): storage.nbytes() for storage in storages}.values())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_each_process_holds_half(precision: str, tied: bool, tmp_path: Path) -> None:
    model = tiny.save_model(tmp_path / "model", layers=4, tied=tied)
    context = killing.multiprocessing.get_context("forkserver")
    both = [
        context.Process(target=held_by_one, args=(number, tmp_path / "meeting", model, precision))
        for number in range(PROCESSES)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    for number in range(PROCESSES):
        whole, at_rest, at_work, head = json.loads((tmp_path / f"{number}.json").read_text())
        assert at_rest / whole == pytest.approx(0.5, abs=0.02)  # norms are whole on both
        assert at_work == at_rest + head  # what was needed last, and nothing else, is whole


def same_alone(name: str, meeting: Path) -> None:
    """A child: a process by itself, whose model gives what it gave before, in log-probs and gradients."""
    processes.meet(Place(0, 1, 0, 1, f"file://{meeting}"))
    model = model_named(name)
    trained = next(p for p in model.parameters() if p.ndim == 1)  # of the first layer, or before it
    trained.requires_grad_(True)
    before = seen(model, trained)
    blocks = models.blocks(model)
    shards = Shards(model, blocks, torch.device("cpu"))
    assert shards.held == shards.total
    again = [seen(model, trained) for _ in range(2)]
    sys.exit(0 if all(torch.equal(a, b) for made in again for a, b in zip(made, before, strict=True)) else 5)


def seen(causal_lm: Any, trained: torch.Tensor) -> list[torch.Tensor]:
    layout = (
        "padded" if "Bloom" in type(causal_lm).__name__ or "Mamba" in type(causal_lm).__name__ else "tree"
    )
    batch = collate(random_trees(), layout=layout, device=torch.device("cpu"), dtype=torch.float32)
    values = token_log_probs(causal_lm, batch)
    values.sum().backward()
    assert trained.grad is not None
    gradient, trained.grad = trained.grad, None
    return [values.detach(), gradient]


@pytest.mark.parametrize("name", ["Llama", "GPT2", *(pytest.param(name, marks=SLOW) for name in OTHERS)])
def test_architectures(name: str, tmp_path: Path) -> None:
    assert killing.child(same_alone, name, tmp_path / "meeting") == 0


@pytest.mark.parametrize(
    ("method", "spec", "says"),
    [
        ("ppo", {}, "whole copy of the base"),
        ("sft", {"adapter": Adapter("dora")}, "takes lora and rslora"),
        ("sft", {"adapter": Adapter("full")}, "takes lora and rslora"),
    ],
)
def test_what_cannot_be_done_is_refused(
    method: str, spec: dict[str, Any], says: str, model: Path, tmp_path: Path
) -> None:
    codes, wrote = together((tmp_path, tmp_path), model, method, sharded=True, **spec)
    assert codes == [3, 3]
    assert all(says in text for text in wrote)


def test_one_process_has_nothing_to_share(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one process alone"):
        run(tmp_path, model, "sft", sharded=True)
