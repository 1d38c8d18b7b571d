"""Our runs beside TRL's trainers, step by step, from the same first weights and in the same order."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import Reports, rows_for, run

from engine import adapters, models
from engine.batches import shuffled
from engine.examples import Pair, Rated
from engine.spec import Adapter

ROWS, BATCH, RATE = 12, 4, 5e-3


def ours(
    model: Path, folder: Path, method: str, rows: list[Any] | None = None, **options: Any
) -> list[dict[str, Any]]:
    reports, rows = Reports(), rows or rows_for(method, ROWS)
    common = {"epochs": 1, "batch_size": BATCH, "learning_rate": RATE, "save_every": 1000}
    run(folder, model, method, rows=rows, reports=reports, options=common | options)
    return reports.of("step")


def theirs(
    model: Path, folder: Path, trainer: Any, config: Any, rows: list[dict[str, Any]], **settings: Any
) -> list[dict[str, Any]]:
    """What TRL logs of each step of one epoch, with our first LoRA weights."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    arguments = config(
        output_dir=str(folder),
        num_train_epochs=1,
        learning_rate=RATE,
        lr_scheduler_type="linear",
        per_device_train_batch_size=BATCH,
        gradient_checkpointing=False,
        max_length=128,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        seed=0,
        disable_tqdm=True,
        **settings,
    )
    built = trainer(
        model=AutoModelForCausalLM.from_pretrained(model),
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(model),
        peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    base = models.load(str(model))
    adapters.add(base, Adapter(), 0)
    first = adapters.state(base)
    copied = 0
    with torch.no_grad():
        for name, parameter in built.model.named_parameters():
            if (key := name.replace(".default", "")) in first:
                parameter.copy_(first[key])
                copied += 1
    assert copied == len(first)
    built.train()
    return [entry for entry in built.state.log_history if "loss" in entry]


def text(row: Any) -> str:
    return f"<s><|user|>{row.prompt[0].content}<|end|><|assistant|>"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "loss_type", "smoothing"),
    [("dpo", "sigmoid", 0.0), ("hinge", "hinge", 0.0), ("robust", "robust", 0.2)],
)
def test_dpo(objective: str, loss_type: str, smoothing: float, model: Path, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    rows = [
        {"prompt": text(row), "chosen": row.chosen, "rejected": row.rejected}
        for row in rows_for("dpo", ROWS)
        if isinstance(row, Pair)
    ]
    options = {"objective": objective} | ({"label_smoothing": smoothing} if smoothing else {})
    steps = ours(model, tmp_path / "ours", "dpo", **options)
    peer = theirs(
        model,
        tmp_path / "trl",
        DPOTrainer,
        DPOConfig,
        rows,
        loss_type=loss_type,
        label_smoothing=smoothing,
        beta=0.1,
    )
    assert [step["loss"] for step in steps] == pytest.approx([step["loss"] for step in peer], rel=1e-3)
    assert abs(steps[-1]["loss"] - steps[0]["loss"]) > 0.01  # the steps do something
    for name, key in {
        "reward_chosen": "rewards/chosen",
        "margin": "rewards/margins",
        "logp_chosen": "logps/chosen",
        "logp_rejected": "logps/rejected",
    }.items():
        mine = [step["metrics"][name] for step in steps]
        assert mine == pytest.approx([step[key] for step in peer], rel=1e-3, abs=1e-3), name


@pytest.mark.slow
def test_kto(model: Path, tmp_path: Path) -> None:
    """TRL does not shuffle: it gets the rows in the order that ours draws, and our balanced weights."""
    from trl import KTOConfig, KTOTrainer

    found = [row for row in rows_for("kto", ROWS) if isinstance(row, Rated)]
    rows = [Rated(row.prompt, row.reply, i not in (3, 8)) for i, row in enumerate(found)]
    (order,) = shuffled(ROWS, 1, 0)
    ordered = [{"prompt": text(rows[i]), "completion": rows[i].reply, "label": rows[i].good} for i in order]
    steps = ours(model, tmp_path / "ours", "kto", rows)
    settings = {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 3.75}
    peer = theirs(model, tmp_path / "trl", KTOTrainer, KTOConfig, ordered, **settings)
    assert [step["loss"] for step in steps] == pytest.approx([step["loss"] for step in peer], rel=1e-3)
    baselines = [step["metrics"]["kl"] for step in steps]
    assert max(baselines) > 0.01
    assert baselines == pytest.approx([step["kl"] for step in peer], rel=1e-3, abs=1e-3)
