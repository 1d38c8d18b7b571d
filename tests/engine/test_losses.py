"""Losses against numbers worked out by hand, their papers' gradients, finite differences, and TRL."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import hand_numbers
import pytest
import torch
from torch import Tensor

from engine import losses

MARGIN = ("dpo", "ipo", "conservative", "robust", "hinge")
VALUES = {"beta": 0.7, "gamma": 0.4, "label_smoothing": 0.2}
TAKES = {
    "dpo": ("beta",),
    "ipo": ("beta",),
    "conservative": ("beta", "label_smoothing"),
    "robust": ("beta", "label_smoothing"),
    "hinge": ("beta",),
    "simpo": ("beta", "gamma"),
    "orpo": ("beta",),
    "sdpo": ("beta",),
}


def options(name: str) -> dict[str, float]:
    return {option: VALUES[option] for option in TAKES[name]}


def loss_of(name: str, count: int = 3) -> tuple[Callable[..., Tensor], dict[str, Tensor]]:
    """A loss with its options set, and random log-probs for `count` pairs in float64."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return -torch.rand(*shape, generator=random, dtype=torch.float64) * 3 - 0.1

    rejected = (count, 2) if name == "sdpo" else (count,)
    given = {"chosen": draw(count), "rejected": draw(*rejected)}
    if name in ("simpo", "orpo"):
        given |= {"chosen_length": torch.tensor([3, 1, 7]), "rejected_length": torch.tensor([2, 5, 4])}
    else:
        given |= {"reference_chosen": draw(count), "reference_rejected": draw(*rejected)}
    loss = getattr(losses, name)
    return lambda **tensors: loss(**tensors, **options(name)), given


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


@pytest.mark.parametrize("name", TAKES)
def test_gradient_by_finite_differences(name: str) -> None:
    loss, given = loss_of(name)
    free = [key for key in given if not key.endswith("length")]

    def of(*tensors: Tensor) -> Tensor:
        return loss(**{**given, **dict(zip(free, tensors, strict=True))})

    assert torch.autograd.gradcheck(of, [given[key].requires_grad_() for key in free])


# losses of other things than a pair's log-probs: what is differentiated, and what is not
OTHERS: dict[str, tuple[dict[str, list[float]], dict[str, Any]]] = {
    "sft": ({"log_probs": [-0.3, -2.0]}, {}),
    "bradley_terry": ({"chosen": [0.4, -1.0], "rejected": [1.1, -1.5]}, {"margin": 0.3}),
    "centring": ({"chosen": [0.4, -1.0], "rejected": [1.1, -1.5]}, {}),
    "likelihood": ({"chosen": [-6.0, -5.0]}, {"chosen_length": torch.tensor([3, 2])}),
    "ppo_policy": (  # within the range, and beyond it on the side that counts and on the other
        {"log_probs": [-3.0, -2.0, -2.0, -4.0, -4.0]},
        {
            "old_log_probs": torch.full((5,), -3.1, dtype=torch.float64),
            "advantages": torch.tensor([3.0, 1.0, -1.0, 1.0, -1.0], dtype=torch.float64),
            "clip_range": 0.2,
        },
    ),
    "ppo_value": (
        {"values": [3.0, 1.1, -3.0]},
        {
            "old_values": torch.ones(3, dtype=torch.float64),
            "returns": torch.tensor([4.0, 2.0, 4.0], dtype=torch.float64),
            "clip_range": 0.5,
        },
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_gradients_of_the_others_by_finite_differences(name: str) -> None:
    free, fixed = OTHERS[name]
    loss = getattr(losses, name)

    def of(*tensors: Tensor) -> Tensor:
        value: Tensor = loss(**dict(zip(free, tensors, strict=True)), **fixed)
        return value

    given = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in free.values()]
    assert torch.autograd.gradcheck(of, given)


def test_no_loss_is_without_a_gradient_by_finite_differences() -> None:
    no_loss = {"log_odds", "kto_baseline"}  # a part of ORPO's; detached
    assert set(hand_numbers.CHECKS) == {*TAKES, *OTHERS, "kto"} | no_loss


def test_kto_s_gradient_by_finite_differences() -> None:
    reply = torch.tensor([-2.0, -1.0, -3.0], dtype=torch.float64, requires_grad=True)
    rest = {
        "reference": torch.tensor([-1.5, -1.6, -3.2], dtype=torch.float64),
        "good": torch.tensor([True, False, False]),
        "baseline": torch.tensor(0.3, dtype=torch.float64),
        "weight": torch.tensor([1.0, 1.3, 1.3], dtype=torch.float64),
    }
    assert torch.autograd.gradcheck(lambda r: losses.kto(reply=r, **rest, beta=0.7), [reply])


def gradients(name: str, given: dict[str, Tensor], **values: float) -> tuple[Tensor, Tensor]:
    """The loss's gradients by the chosen and by the rejected log-probs."""
    chosen, rejected = (given[key].clone().requires_grad_() for key in ("chosen", "rejected"))
    loss = getattr(losses, name)(**{**given, "chosen": chosen, "rejected": rejected}, **values)
    by = torch.autograd.grad(loss.sum(), [chosen, rejected])
    return by[0], by[1]


def test_gradients_that_the_papers_give() -> None:
    _, given = loss_of("dpo")
    h = (given["chosen"] - given["reference_chosen"]) - (given["rejected"] - given["reference_rejected"])
    wrong = torch.sigmoid(-0.7 * h)  # how wrong the implicit reward has the pair
    # DPO, section 4: −β σ(r̂_l − r̂_w) [∇ log π(y_w) − ∇ log π(y_l)]
    expected = -0.7 * wrong
    for name, by_chosen in {
        "dpo": expected,
        # 2 (h − 1/(2τ))
        "ipo": 2 * (h - 1 / 1.4),
        # weights of cDPO and rDPO: σ(−βh) − ε, and the same divided by 1 − 2ε, plus a constant
        "conservative": -0.7 * (0.8 * wrong - 0.2 * (1 - wrong)),
        "robust": -0.7 * (0.8 * wrong + 0.2 * (1 - wrong)) / 0.6,
    }.items():
        chosen, rejected = gradients(name, given, **options(name))
        torch.testing.assert_close(chosen, by_chosen)
        torch.testing.assert_close(rejected, -by_chosen)


def test_gradients_of_losses_without_a_reference() -> None:
    _, given = loss_of("simpo")
    mean = {side: given[side] / given[f"{side}_length"] for side in ("chosen", "rejected")}
    # SimPO, appendix: β σ(β mean_l − β mean_w + γ) / |y|
    wrong = torch.sigmoid(0.4 - 0.7 * (mean["chosen"] - mean["rejected"]))
    chosen, rejected = gradients("simpo", given, beta=0.7, gamma=0.4)
    torch.testing.assert_close(chosen, -0.7 * wrong / given["chosen_length"])
    torch.testing.assert_close(rejected, 0.7 * wrong / given["rejected_length"])
    # ORPO, equations 8 to 10: δ = 1/(1 + odds_w/odds_l), h = 1/(1 − p) for either reply
    p = {side: value.exp() for side, value in mean.items()}
    odds = {side: value / (1 - value) for side, value in p.items()}
    delta = 1 / (1 + odds["chosen"] / odds["rejected"])
    chosen, rejected = gradients("orpo", given, beta=0.7)
    torch.testing.assert_close(
        chosen, -(1 + 0.7 * delta / (1 - p["chosen"])) / given["chosen_length"], rtol=1e-6, atol=1e-9
    )
    torch.testing.assert_close(
        rejected, 0.7 * delta / (1 - p["rejected"]) / given["rejected_length"], rtol=1e-6, atol=1e-9
    )


def test_orpo_of_a_reply_that_is_certain_is_a_number() -> None:
    sure = torch.zeros(1, requires_grad=True)
    length = torch.ones(1)
    loss = losses.orpo(
        chosen=sure,
        rejected=torch.tensor([-1.0]),
        chosen_length=length,
        rejected_length=length,
        beta=0.1,
    )
    loss.sum().backward()
    assert math.isfinite(float(loss.detach()))
    assert sure.grad is not None
    assert math.isfinite(float(sure.grad))


def test_losses_are_float32_whatever_comes_in() -> None:
    half = torch.tensor([-1.0], dtype=torch.bfloat16)
    assert losses.sft(log_probs=half).dtype == torch.float32
    for name in MARGIN:
        loss = getattr(losses, name)(
            chosen=half, rejected=half, reference_chosen=half, reference_rejected=half, **options(name)
        )
        assert loss.dtype == torch.float32


class TestAgainstTrl:
    """TRL's own functions on our numbers. Its IPO divides by the length, so ours meets it at length 1."""

    @pytest.mark.parametrize(
        ("name", "trl_s"), [("dpo", "sigmoid"), ("ipo", "ipo"), ("hinge", "hinge"), ("robust", "robust")]
    )
    def test_dpo_trainer(self, name: str, trl_s: str) -> None:
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

        class Metrics(dict[str, list[float]]):
            def __missing__(self, name: str) -> list[float]:
                return self.setdefault(name, [])

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
            _metrics={"train": Metrics()},
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

    def test_simpo(self) -> None:
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

    def test_orpo(self) -> None:
        from trl.experimental.orpo import ORPOTrainer

        loss, given = loss_of("orpo")
        trainer = SimpleNamespace(beta=VALUES["beta"], accelerator=SimpleNamespace(device="cpu"))
        means = [given[side] / given[f"{side}_length"] for side in ("chosen", "rejected")]
        theirs = -means[0] - ORPOTrainer.odds_ratio_loss(trainer, *means)[0]
        torch.testing.assert_close(theirs, loss(**given), rtol=1e-5, atol=1e-6, check_dtype=False)
