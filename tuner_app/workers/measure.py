"""Measures a base with several adapters in this process: it imports torch, so interfaces leave it alone."""

from collections.abc import Sequence
from pathlib import Path

from engine import adapters, evaluate, models
from engine.examples import Message
from engine.template import template_for


def perplexities(
    base: str, folders: Sequence[Path | None], dialogues: Sequence[Sequence[Message]]
) -> list[float]:
    """Perplexity of the assistant's text in `dialogues` under each adapter; None is the base alone."""
    loaded = models.load(base, "fp32")
    template = template_for(loaded.tokenizer, None, end_tokens=loaded.end_tokens)
    values = []
    for number, folder in enumerate(folders):
        if folder is None:
            adapters.activate(loaded, None)
        else:
            adapters.attach(loaded, str(number), folder)
            adapters.activate(loaded, str(number))
        values.append(evaluate.perplexity(loaded, template, dialogues))
    return values
