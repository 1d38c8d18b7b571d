"""Losses against numbers worked out by hand, at the points where anybody knows them."""

import math
from collections.abc import Callable
from typing import Any

import hand_numbers
import pytest
import torch
from drawn_losses import options

from engine import losses

MARGIN = ("dpo", "ipo", "conservative", "robust", "hinge")


@pytest.mark.parametrize("check", hand_numbers.CHECKS.values(), ids=hand_numbers.CHECKS)
def test_by_hand(check: Callable[[Any], None]) -> None:
    check(losses)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dpo", math.log(2)),
        ("ipo", (1 / 1.4) ** 2),
        ("conservative", math.log(2)),
        ("robust", math.log(2)),
        ("hinge", 1.0),
        ("sdpo", math.log(2)),
    ],
)
def test_where_policy_and_reference_agree(name: str, expected: float) -> None:
    chosen, rejected = torch.tensor([-3.0, -40.0]), torch.tensor([-9.0, -1.0])
    if name == "sdpo":
        rejected = rejected[:, None]
    loss = getattr(losses, name)(
        chosen=chosen,
        rejected=rejected,
        reference_chosen=chosen,
        reference_rejected=rejected,
        **options(name),
    )
    torch.testing.assert_close(loss, torch.full((2,), expected), rtol=1e-6, atol=1e-7)


def test_where_both_replies_are_alike() -> None:
    same, length = torch.tensor([-3.0]), torch.tensor([2])
    given = {"chosen": same, "rejected": same, "chosen_length": length, "rejected_length": length}
    assert float(losses.simpo(**given, beta=2.0, gamma=0.0)) == pytest.approx(math.log(2), rel=1e-6)
    assert float(losses.orpo(**given, beta=0.1)) == pytest.approx(1.5 + 0.1 * math.log(2), rel=1e-6)
    assert float(losses.bradley_terry(chosen=same, rejected=same)) == pytest.approx(math.log(2), rel=1e-6)


def test_kto_is_half_the_weight_where_the_reply_gains_what_all_do() -> None:
    weight = torch.tensor([1.0, 1.3])
    loss = losses.kto(
        reply=torch.tensor([-2.0, -5.0]),
        reference=torch.tensor([-2.5, -5.5]),
        good=torch.tensor([True, False]),
        baseline=torch.tensor(0.5),
        beta=0.1,
        weight=weight,
    )
    torch.testing.assert_close(loss, weight / 2, rtol=1e-6, atol=1e-7)


def test_losses_are_float32_whatever_comes_in() -> None:
    half = torch.tensor([-1.0], dtype=torch.bfloat16)
    assert losses.sft(log_probs=half).dtype == torch.float32
    for name in MARGIN:
        loss = getattr(losses, name)(
            chosen=half, rejected=half, reference_chosen=half, reference_rejected=half, **options(name)
        )
        assert loss.dtype == torch.float32
