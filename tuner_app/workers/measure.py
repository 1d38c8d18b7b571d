"""Measures a base with an adapter in this process: it imports torch, so interfaces leave it alone."""

from collections.abc import Sequence
from pathlib import Path

import torch

from engine import adapters, evaluate, models
from engine.advantages import k3, sum_by_reply
from engine.batches import Branch, Tree, collate, micro_batches
from engine.examples import Message
from engine.logps import token_log_probs
from engine.template import template_for

MICRO_TOKENS = 2048


def perplexity(base: str, folder: Path | None, dialogues: Sequence[Sequence[Message]]) -> float:
    """Perplexity of the assistant's text in `dialogues` under an adapter; with None under the base alone."""
    loaded = models.load(base, "fp32")
    template = template_for(loaded.tokenizer, None, end_tokens=loaded.end_tokens)
    if folder:
        adapters.attach(loaded, "trained", folder)
        adapters.activate(loaded, "trained")
    return evaluate.perplexity(loaded, template, dialogues)


def divergence(
    base: str, trained: Path, start: Path, dialogues: Sequence[Sequence[Message]], temperature: float
) -> float:
    """KL of the adapter `trained` from `start`, in nats per reply: `advantages.k3`, summed over tokens.

    Each of `dialogues` ends with a reply that `trained` gave at `temperature`, which both are taken at. Of
    replies that were cut off, an end token that was never drawn counts too.
    """
    loaded = models.load(base, "fp32")
    template = template_for(loaded.tokenizer, None, end_tokens=loaded.end_tokens)
    for name, folder in (("trained", trained), ("start", start)):
        adapters.attach(loaded, name, folder)
    replies = [template.reply(messages[:-1], messages[-1].content) for messages in dialogues]
    trees = [Tree(prompt, [Branch.reply(reply)]) for prompt, reply in replies]
    found = []
    for numbers in micro_batches(range(len(trees)), [tree.length for tree in trees], MICRO_TOKENS):
        rows = [trees[i] for i in numbers]
        batch = collate(rows, layout="padded", device=loaded.device, dtype=loaded.dtype)
        log_probs = {}
        for name in ("trained", "start"):
            adapters.activate(loaded, name)
            with torch.no_grad(), loaded.autocast():
                log_probs[name] = token_log_probs(loaded.model, batch, temperature)
        lengths = torch.tensor([tree.trained for tree in rows], device=loaded.device)
        found.append(sum_by_reply(k3(log_probs["start"] - log_probs["trained"]), lengths))
    return float(torch.cat(found).mean())
