"""How well a model predicts held-out conversations."""

import math
from collections.abc import Sequence

import torch

from engine.batches import Branch, Tree, collate, micro_batches
from engine.errors import UserError
from engine.examples import Message
from engine.logps import token_log_probs
from engine.models import Base
from engine.template import Template

MICRO_TOKENS = 2048


def negative_log_likelihood(
    base: Base, template: Template, conversations: Sequence[Sequence[Message]]
) -> tuple[float, int]:
    """−Σ log p over the assistant's tokens, in nats, and how many tokens those are.

    The model is taken as it stands: with whatever adapter is active. Conversations longer than its context
    count for nothing; a UserError says so when none is left.
    """
    trees = []
    for messages in conversations:
        ids, trained = template.conversation(messages)
        tree = Tree([], [Branch(ids, trained)])
        if tree.trained and len(ids) <= base.context:
            trees.append(tree)
    if not trees:
        raise UserError(
            f"None of {len(conversations)} conversations has a reply and fits into {base.context} tokens.",
            do="Give shorter conversations that end with the assistant's reply.",
        )
    total = 0.0
    for numbers in micro_batches(range(len(trees)), [tree.length for tree in trees], MICRO_TOKENS):
        rows = [trees[i] for i in numbers]
        batch = collate(rows, layout="padded", device=base.device, dtype=base.dtype)
        with torch.no_grad(), base.autocast():
            total -= float(token_log_probs(base.model, batch).double().sum())
    return total, sum(tree.trained for tree in trees)


def perplexity(base: Base, template: Template, conversations: Sequence[Sequence[Message]]) -> float:
    """exp of the mean negative log-likelihood of the assistant's tokens; see `negative_log_likelihood`."""
    total, tokens = negative_log_likelihood(base, template, conversations)
    return math.exp(total / tokens)
