"""Runs on models that we did not make; their folder is named by TUNER_CONFORMANCE_DATA."""

import os
from pathlib import Path
from typing import Any

import pytest
from small_run import Reports, rows_for, run

from engine import models

DATA = os.environ.get("TUNER_CONFORMANCE_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="TUNER_CONFORMANCE_DATA is not set")


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_a_model_without_a_chat_template(precision: Any, tmp_path: Path) -> None:
    model = Path(str(DATA)) / "models" / "stories260K"
    reports = Reports()
    first = run(tmp_path / "sft", model, "sft", reports=reports, precision=precision)
    assert any("no chat template" in data["message"] for data in reports.of("warning"))
    assert reports.of("data")[0]["used"] == len(rows_for("sft"))
    assert reports.losses[-1] < reports.losses[0]
    second = run(tmp_path / "dpo", model, "dpo", parent=str(first.folder), precision=precision)
    assert second.steps == 6


def test_both_of_its_end_tokens_are_known() -> None:
    base = models.load(str(Path(str(DATA)) / "models" / "stories260K"))
    assert base.end_tokens == (2, 1)
    assert base.context == 512
