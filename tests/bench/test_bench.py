"""The bench measures real runs, and meets TRL's losses step by step."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from engine.bench import bench, peak_products, read_pairs
from engine.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_model(tmp_path_factory.mktemp("model"), context=1024, template=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "likes", "yellow", "lemons"]
    file = tmp_path_factory.mktemp("data") / "pairs.jsonl"
    rows = []
    for i in range(20):
        prompt = f"\n\nHuman: {' '.join(words[: 2 + i % 9])}?\n\nAssistant:"
        good, bad = " " + " ".join(words[i % 7 :]), " " + " ".join(words[: 1 + i % 5]) + "!"
        rows.append({"chosen": prompt + good, "rejected": prompt + bad})
    rows.insert(3, {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: d"})
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize("method", ["sft", "dpo", "reward", "kto"])
def test_the_fields_are_the_peer_s_and_two_more(method: str, model: Path, data: Path) -> None:
    figures = bench(method, model, data, 20)
    assert list(figures) == [
        *("method", "pairs", "bf16", "seconds", "peak_rss_gb", "fraction_of_peak"),
        *("fraction_of_torch_peak", "losses"),
    ]
    assert figures["pairs"] == 20
    assert len(figures["losses"]) == (5 if method == "kto" else 3)  # KTO has two rows of a pair
    assert figures["seconds"] > 0
    assert 0.1 < figures["peak_rss_gb"] < 50
    assert 0 < figures["fraction_of_peak"] < 1
    assert figures["fraction_of_torch_peak"] >= figures["fraction_of_peak"]


def test_pairs_with_unequal_prompts_are_left_out(data: Path) -> None:
    assert len(read_pairs(data, 100)) == 20
    assert len(read_pairs(data, 5)) == 5
    assert read_pairs(data, 1)[0][0].endswith("\n\nAssistant:")


def test_a_file_of_something_else_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(tmp_path / "absent", 3)
    (tmp_path / "odd").write_text('{"chosen": "a"}')
    with pytest.raises(UserError, match="line 1"):
        read_pairs(tmp_path / "odd", 3)
    apart = {"chosen": "Human: a\n\nAssistant: b", "rejected": "Human: c\n\nAssistant: d"}
    wrong = {"prompt": "a", "chosen": 5, "rejected": "b"}
    (tmp_path / "odd").write_text(f"{json.dumps(apart)}\n{json.dumps(wrong)}")
    with pytest.raises(UserError, match="line 2"):
        read_pairs(tmp_path / "odd", 3)


def test_the_peak_is_plausible() -> None:
    import torch

    assert 1e8 < peak_products(torch.device("cpu"), torch.float32, torch.matmul) < 1e15


TRL = """
import json, os, sys
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
import trl
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, set_seed
from engine.bench import read_pairs
from pathlib import Path

method, model, data, scratch = sys.argv[1:]
rows = [dict(zip(("prompt", "chosen", "rejected"), row)) for row in read_pairs(Path(data), 20)]
common = dict(output_dir=scratch, learning_rate=1e-4, num_train_epochs=1, report_to=[], save_strategy="no",
              logging_steps=1, max_length=1024, bf16=False, use_cpu=True, seed=0, disable_tqdm=True,
              gradient_checkpointing=False, per_device_train_batch_size=8)
if method == "sft":
    rows = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    build, config = trl.SFTTrainer, trl.SFTConfig
elif method == "reward":
    build, config = trl.RewardTrainer, trl.RewardConfig
else:
    build, config = trl.DPOTrainer, trl.DPOConfig
set_seed(0)  # the reward head's numbers are drawn when the model is loaded
if method == "reward":
    loaded, task = AutoModelForSequenceClassification.from_pretrained(model, num_labels=1), "SEQ_CLS"
else:
    loaded, task = AutoModelForCausalLM.from_pretrained(model), "CAUSAL_LM"
trainer = build(
    model=loaded,
    args=config(**common),
    train_dataset=Dataset.from_list(rows),
    processing_class=AutoTokenizer.from_pretrained(model),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type=task),
)
trainer.train()
print(json.dumps([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]))
"""


def trl_losses(*arguments: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", TRL, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return losses


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "dpo", "reward"])
def test_every_step_s_loss_is_trl_s(method: str, model: Path, data: Path, tmp_path: Path) -> None:
    ours: dict[str, Any] = bench(method, model, data, 20)
    theirs = trl_losses(method, str(model), str(data), str(tmp_path))
    assert ours["losses"] == pytest.approx(theirs, rel=1e-4)
