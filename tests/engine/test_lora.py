"""LoRA's product by hand against autograd's of the formula."""

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from engine import lora


def numbers(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("bias", [True, False])
def test_its_gradients_are_those_of_the_formula(bias: bool) -> None:
    torch.manual_seed(0)
    x, a, b = numbers(2, 3, 5), numbers(2, 5), numbers(4, 2)
    weight, offset = numbers(4, 5).detach(), numbers(4).detach() if bias else None

    def product(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return lora.LoraProduct.apply(x, weight, offset, a, b, 0.7)  # type: ignore[no-any-return,no-untyped-call]

    plain = nn.functional.linear(x, weight, offset) + 0.7 * (x @ a.T @ b.T)
    torch.testing.assert_close(product(x, a, b), plain)
    assert torch.autograd.gradcheck(product, (x, a, b))


def layer(dropout: float = 0.0) -> tuple[nn.Module, lora.LoraLinear]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4))
    config = LoraConfig(r=2, lora_alpha=3, lora_dropout=dropout, target_modules=["0"])
    config._register_custom_module({nn.Linear: lora.layer})
    inject_adapter_in_model(config, model, "one")
    nn.init.normal_(model[0].lora_B["one"].weight)
    return model, model[0]  # type: ignore[return-value]


def test_a_layer_gives_what_its_peft_layer_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ours = layer()
    x = torch.randn(6, 5, requires_grad=True)

    def gradients() -> list[Tensor]:
        out = model(x)
        wanted = [x, ours.lora_A["one"].weight, ours.lora_B["one"].weight]
        return [out, *torch.autograd.grad((out**2).sum(), wanted)]

    calls = []
    real = lora.LoraProduct.apply
    monkeypatch.setattr(lora.LoraProduct, "apply", lambda *given: calls.append(1) or real(*given))
    fast = gradients()
    assert calls
    monkeypatch.setattr(lora.LoraLinear, "_plain", lambda *given: None)
    torch.testing.assert_close(fast, gradients())
    assert len(calls) == 1


def test_what_is_not_plain_is_left_to_peft() -> None:
    model, ours = layer(dropout=0.5)
    model.train()
    x = torch.ones(400, 5)
    assert (model(x).var(0) > 0).all()  # dropout works: rows differ
    model, ours = layer()
    ours.enable_adapters(False)
    torch.testing.assert_close(model(x), ours.base_layer(x))
