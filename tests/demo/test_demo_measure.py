"""How far one adapter went from another, against a plain computation."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch

from engine import adapters, models
from engine.examples import Message
from engine.spec import Adapter, Spec
from engine.template import template_for
from tuner_app.workers.measure import divergence


def random_adapter(model: Path, folder: Path, seed: int) -> Path:
    """An adapter on the model in `model`, none of whose numbers are zero."""
    base = models.load(str(model), "fp32")
    spec = Spec(method="sft", base=str(model), adapter=replace(Adapter(), rank=4))
    adapters.add(base, spec.adapter, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in adapters.state(base).values():
            tensor.normal_(0.0, 0.05, generator=generator)
    adapters.save(base, spec, template_for(base.tokenizer).text, folder, None)
    return folder


def plain(model: Path, adapter: Path, dialogue: tuple[Message, ...], temperature: float) -> torch.Tensor:
    """Log-probs of the last reply's tokens, from a whole table of logits."""
    base = models.load(str(model), "fp32")
    adapters.attach(base, "it", adapter)
    adapters.activate(base, "it")
    prompt, reply = template_for(base.tokenizer, end_tokens=base.end_tokens).reply(
        dialogue[:-1], dialogue[-1].content
    )
    with torch.no_grad():
        logits = base.model(torch.tensor([[*prompt, *reply]])).logits[0]
    table = (logits / temperature).log_softmax(-1)
    return torch.stack([table[len(prompt) - 1 + t, token] for t, token in enumerate(reply)])


def test_divergence_is_k3_at_the_temperature_summed_over_a_reply(tmp_path: Path) -> None:
    model = tiny.save_model(tmp_path / "model")
    ours, start = (random_adapter(model, tmp_path / str(seed), seed) for seed in (1, 2))
    talks = [
        tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))
        for texts in (("Hello!", "A lemon."), ("Three?", "is five", "Colour?", "Yellow apples, yes"))
    ]
    expected = []
    for talk in talks:
        log_ratio = plain(model, start, talk, 0.7) - plain(model, ours, talk, 0.7)
        expected.append(float((log_ratio.exp() - 1 - log_ratio).sum()))
    found = divergence(str(model), ours, start, talks, 0.7)
    assert found == pytest.approx(sum(expected) / len(expected), rel=1e-4)
    assert found > 0.01
    assert divergence(str(model), ours, ours, talks, 0.7) == pytest.approx(0.0, abs=1e-6)
