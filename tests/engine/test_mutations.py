"""One seeded mistake in each loss, and each is caught by that loss's numbers worked out by hand.

To add a step of another method: put a check into `hand_numbers.py` that takes the step's module, and a
line into `MUTATIONS`.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import hand_numbers
import pytest

from engine import losses

# module, function in it, what it says, what it is made to say, the check that has to fail
MUTATIONS: list[tuple[ModuleType, str, str, str, Callable[[Any], None]]] = [
    (losses, "sft", "-_exact(log_probs)", "_exact(log_probs)", hand_numbers.sft),
    (losses, "bradley_terry", "- margin", "+ margin", hand_numbers.bradley_terry),
    (losses, "centring", "+ _exact", "- _exact", hand_numbers.centring),
    (losses, "dpo", "-logsigmoid(beta *", "-logsigmoid(-beta *", hand_numbers.dpo),
    (losses, "_margin", "- (_exact(reference_chosen)", "+ (_exact(reference_chosen)", hand_numbers.dpo),
    (losses, "likelihood", " / chosen_length", "", hand_numbers.likelihood),
    (losses, "ipo", "1 / (2 * beta)) ** 2", "1 / beta) ** 2", hand_numbers.ipo),
    (losses, "conservative", "- label_smoothing * log", "+ label_smoothing * log", hand_numbers.conservative),
    (losses, "robust", " / (1 - 2 * label_smoothing)", "", hand_numbers.robust),
    (losses, "hinge", "relu(1 -", "relu(beta -", hand_numbers.hinge),
    (losses, "simpo", "- gamma)", "+ gamma)", hand_numbers.simpo),
    (losses, "simpo", "_exact(rejected) / rejected_length", "_exact(rejected)", hand_numbers.simpo),
    (losses, "orpo", "-_exact(chosen) / chosen_length", "-_exact(chosen)", hand_numbers.orpo),
    (losses, "log_odds", "torch.log(-torch.expm1(mean))", "torch.log1p(mean.exp())", hand_numbers.orpo),
    (losses, "sdpo", "torch.logsumexp(beta * gaps, dim=1)", "(beta * gaps).amax(1)", hand_numbers.sdpo),
    (losses, "kto", "- baseline", "", hand_numbers.kto),
    (losses, "kto", "-beta, beta", "beta, -beta", hand_numbers.kto),
    (losses, "kto_baseline", ".clamp(min=0)", "", hand_numbers.kto_baseline),
    (losses, "kto_baseline", ".detach()", "", hand_numbers.kto_baseline),
    (losses, "ppo_policy", "torch.minimum", "torch.maximum", hand_numbers.ppo_policy),
    (losses, "ppo_value", "torch.maximum", "torch.minimum", hand_numbers.ppo_value),
]


@pytest.mark.parametrize(("module", "name", "right", "wrong", "check"), MUTATIONS)
def test_a_seeded_mistake_is_caught(
    module: ModuleType, name: str, right: str, wrong: str, check: Callable[[Any], None]
) -> None:
    check(module)
    with pytest.raises(AssertionError):
        check(mutated(module, name, right, wrong))


def mutated(module: ModuleType, name: str, right: str, wrong: str) -> ModuleType:
    """The module anew, with `wrong` for `right` in the one place of the function's code that has it."""
    function = inspect.getsource(getattr(module, name))
    assert function.count(right) == 1, f"{right!r} stands {function.count(right)} times in {name}"
    source = inspect.getsource(module).replace(function, function.replace(right, wrong))
    changed = ModuleType(module.__name__)
    exec(compile(source, f"{module.__name__} with a mistake in {name}", "exec"), changed.__dict__)
    return changed


def test_every_loss_has_a_mistake() -> None:
    public = {
        name
        for name, function in vars(losses).items()
        if inspect.isfunction(function)
        and function.__module__ == losses.__name__
        and not name.startswith("_")
    }
    assert public == {name for module, name, *_ in MUTATIONS if module is losses} - {"_margin"}
