"""Losses against TRL's own functions on our numbers. Its IPO divides by the length, so ours meets it at 1."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from drawn_losses import VALUES, loss_of


@pytest.mark.parametrize(
    ("name", "trl_s"), [("dpo", "sigmoid"), ("ipo", "ipo"), ("hinge", "hinge"), ("robust", "robust")]
)
def test_margin_losses(name: str, trl_s: str) -> None:
    from trl import DPOTrainer

    loss, given = loss_of(name)
    logps = torch.cat([given["chosen"], given["rejected"]]).float()
    ones = torch.ones(6, 2, dtype=torch.long)
    outputs = SimpleNamespace(
        log_probs=logps[:, None],
        entropy=torch.zeros(6, 1),
        mean_logits=torch.zeros(6, 1),
        is_top1=torch.zeros(6, 1, dtype=torch.bool),
    )

    trainer = SimpleNamespace(
        model=torch.nn.Identity(),
        accelerator=SimpleNamespace(device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x),
        aux_loss_enabled=False,
        ld_alpha=None,
        precompute_ref_logps=True,
        f_divergence_type="reverse_kl",
        loss_types=[trl_s],
        loss_weights=[1.0],
        label_smoothing=VALUES["label_smoothing"],
        beta=VALUES["beta"],
        use_weighting=False,
        _metrics={"train": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
    )
    inputs = {
        "input_ids": ones,
        "attention_mask": ones,
        # IPO counts completion tokens, the others predictions: one each
        "completion_mask": torch.tensor([[0, 1]] * 6),
        "ref_chosen_logps": given["reference_chosen"].float(),
        "ref_rejected_logps": given["reference_rejected"].float(),
    }
    theirs = DPOTrainer._compute_loss(trainer, lambda **_: outputs, inputs, False)
    assert float(theirs) == pytest.approx(float(loss(**given).mean()), rel=1e-5)


def test_simpo() -> None:
    from trl.experimental.cpo import CPOTrainer

    loss, given = loss_of("simpo")
    trainer = SimpleNamespace(
        alpha=0.0,
        loss_type="simpo",
        beta=VALUES["beta"],
        simpo_gamma=VALUES["gamma"],
        label_smoothing=0.0,
        accelerator=SimpleNamespace(device="cpu"),
    )
    means = [given[side] / given[f"{side}_length"] for side in ("chosen", "rejected")]
    torch.testing.assert_close(CPOTrainer.cpo_loss(trainer, *means)[0], loss(**given))


def test_orpo() -> None:
    from trl.experimental.orpo import ORPOTrainer

    loss, given = loss_of("orpo")
    trainer = SimpleNamespace(beta=VALUES["beta"], accelerator=SimpleNamespace(device="cpu"))
    means = [given[side] / given[f"{side}_length"] for side in ("chosen", "rejected")]
    theirs = -means[0] - ORPOTrainer.odds_ratio_loss(trainer, *means)[0]
    torch.testing.assert_close(theirs, loss(**given), rtol=1e-5, atol=1e-6, check_dtype=False)
