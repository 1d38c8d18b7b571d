"""Perplexity against a plain computation, and conversations that cannot count."""

import math

import pytest
import tiny
import torch

from engine import chance, evaluate, models
from engine.errors import UserError
from engine.examples import Message
from engine.template import template_for


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> models.Base:
    return models.load(str(tiny.save_model(tmp_path_factory.mktemp("model"))))


@pytest.mark.parametrize(
    ("hits", "count", "expected"),
    [(4, 4, 1 / 16), (3, 4, 5 / 16), (3.5, 4, 5 / 16), (0, 4, 1), (8, 10, 56 / 1024), (2000, 4000, 0.506307)],
)
def test_how_probable_so_many_hits_are_by_guessing(hits: float, count: int, expected: float) -> None:
    assert chance.by_guessing(hits, count) == pytest.approx(expected, rel=1e-5)


def talk(*texts: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts))


def test_perplexity_is_that_of_the_assistant_s_tokens(base: models.Base) -> None:
    talks = [talk("Hello!", "A lemon.", "Yes?", "Yellow apples"), talk("Three?", "is five")]
    losses = []
    for messages in talks:
        chat = [{"role": m.role, "content": m.content} for m in messages]
        made = base.tokenizer.apply_chat_template(chat, return_dict=True, return_assistant_tokens_mask=True)
        ids = torch.tensor([made["input_ids"]])
        labels = ids.masked_fill(torch.tensor([made["assistant_masks"]]) == 0, -100)
        with torch.no_grad():
            count = int((labels[0, 1:] != -100).sum())
            losses.append((float(base.model(ids, labels=labels).loss) * count, count))
    expected = math.exp(sum(loss for loss, _ in losses) / sum(count for _, count in losses))
    template = template_for(base.tokenizer, end_tokens=base.end_tokens)
    assert evaluate.perplexity(base, template, talks) == pytest.approx(expected, rel=1e-5)


def test_what_does_not_fit_counts_for_nothing(base: models.Base) -> None:
    template = template_for(base.tokenizer)
    short, long = talk("Hello!", "Hi."), talk("Hello! " * 100, "Hi.")
    alone = evaluate.negative_log_likelihood(base, template, [short])
    assert evaluate.negative_log_likelihood(base, template, [short, long]) == pytest.approx(alone, rel=1e-5)
    with pytest.raises(UserError, match="None of 1 conversations"):
        evaluate.perplexity(base, template, [long])
