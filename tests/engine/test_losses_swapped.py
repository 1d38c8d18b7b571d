"""What becomes of a loss when the replies change places, and losses that are one another's."""

import math
from typing import Any

import pytest
import torch
from drawn_losses import loss_of
from torch import Tensor

from engine import losses


@pytest.mark.parametrize("name", ["dpo", "sdpo"])
def test_swapping_the_replies_turns_the_margin_over(name: str) -> None:
    _, given = loss_of("dpo")
    if name == "sdpo":
        given = {key: value[:, None] if "rejected" in key else value for key, value in given.items()}
    other = {"chosen": "rejected", "rejected": "chosen"}
    swapped = {
        key: given[key.replace(side, other[side])].reshape(given[key].shape)
        for key in given
        for side in [key.removeprefix("reference_")]
    }
    loss = getattr(losses, name)
    forth, back = loss(**given, beta=0.3), loss(**swapped, beta=0.3)
    h = given["chosen"] - given["rejected"].flatten()
    h -= given["reference_chosen"] - given["reference_rejected"].flatten()
    # −log σ(m) and −log σ(−m) differ by m
    torch.testing.assert_close(back - forth, 0.3 * h)


def test_swapping_the_replies_of_the_other_pair_losses() -> None:
    """Each by what its formula makes of −h for h, the margin or the gap of mean log-probs."""
    _, given = loss_of("dpo")
    h = given["chosen"] - given["rejected"] - given["reference_chosen"] + given["reference_rejected"]
    other = {"chosen": "rejected", "rejected": "chosen"}

    def difference(name: str, given: dict[str, Tensor], **options: Any) -> Tensor:
        """The loss of the pair the other way round, less that of the pair."""
        swapped = {
            key: given[key.replace(side, other[side])]
            for key in given
            for side in other
            if key.removeprefix("reference_").startswith(side)
        }
        loss = getattr(losses, name)
        result: Tensor = loss(**swapped, **options) - loss(**given, **options)
        return result

    torch.testing.assert_close(difference("ipo", given, beta=0.7), 2 * h / 0.7)
    torch.testing.assert_close(difference("hinge", given, beta=0.1), 0.2 * h)  # both sides of the kink's left
    scores = {"chosen": given["chosen"], "rejected": given["rejected"]}
    gap = given["chosen"] - given["rejected"]
    torch.testing.assert_close(difference("bradley_terry", scores), gap)
    torch.testing.assert_close(difference("centring", scores), torch.zeros_like(gap))
    _, given = loss_of("simpo")
    mean = {side: given[side] / given[f"{side}_length"] for side in other}
    expected = 0.7 * (mean["chosen"] - mean["rejected"])
    torch.testing.assert_close(difference("simpo", given, beta=0.7, gamma=0.0), expected)
    odds = {side: value - torch.log(-torch.expm1(value)) for side, value in mean.items()}
    expected = mean["chosen"] - mean["rejected"] + 0.7 * (odds["chosen"] - odds["rejected"])
    torch.testing.assert_close(difference("orpo", given, beta=0.7), expected, rtol=1e-5, atol=1e-6)


def test_swapping_with_labels_that_are_always_wrong_changes_nothing() -> None:
    """conservative(ε) of a pair is conservative(1 − ε) of the pair the other way round; robust likewise."""
    _, given = loss_of("dpo")
    swapped = {
        "chosen": given["rejected"],
        "rejected": given["chosen"],
        "reference_chosen": given["reference_rejected"],
        "reference_rejected": given["reference_chosen"],
    }
    for loss in (losses.conservative, losses.robust):
        forth = loss(**given, beta=0.3, label_smoothing=0.2)
        torch.testing.assert_close(loss(**swapped, beta=0.3, label_smoothing=0.8), forth)


def test_robust_is_dpo_on_the_mean_over_flipped_labels() -> None:
    _, given = loss_of("dpo")
    flipped = {
        "chosen": given["rejected"],
        "rejected": given["chosen"],
        "reference_chosen": given["reference_rejected"],
        "reference_rejected": given["reference_chosen"],
    }
    mean = 0.8 * losses.robust(**given, beta=0.3, label_smoothing=0.2)
    mean += 0.2 * losses.robust(**flipped, beta=0.3, label_smoothing=0.2)
    torch.testing.assert_close(mean, losses.dpo(**given, beta=0.3))


def test_sdpo_with_one_rejected_reply_is_dpo_to_the_gradient() -> None:
    _, given = loss_of("dpo")
    given = {key: value.requires_grad_() for key, value in given.items()}
    columns = {key: value[:, None] if "rejected" in key else value for key, value in given.items()}
    padded = {
        "rejected": torch.cat([columns["rejected"], torch.full((3, 1), -math.inf)], 1),
        "reference_rejected": torch.cat([columns["reference_rejected"], torch.zeros(3, 1)], 1),
    }
    pair = losses.dpo(**given, beta=0.7)
    gradients = torch.autograd.grad(pair.sum(), list(given.values()))
    for several in (columns, {**columns, **padded}):
        softmax = losses.sdpo(**several, beta=0.7)
        torch.testing.assert_close(softmax, pair)
        for ours, theirs in zip(
            torch.autograd.grad(softmax.sum(), list(given.values()), retain_graph=True),
            gradients,
            strict=True,
        ):
            torch.testing.assert_close(ours, theirs)
