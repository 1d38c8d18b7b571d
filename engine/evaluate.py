"""How well a model predicts held-out conversations, and how sure a share of hits is."""

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
Z_95 = 1.959964  # a normal variable lies within so many standard deviations 95 times out of 100


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


def wilson(hits: float, count: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval for the probability behind `hits` out of `count` ≥ 1 independent trials.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927:
    (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with p = hits / n. Half a hit, a tie, counts as such.
    """
    share = hits / count
    middle = share + z * z / (2 * count)
    width = z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    scale = 1 + z * z / count
    return max(0.0, (middle - width) / scale), min(1.0, (middle + width) / scale)


def by_guessing(hits: float, count: int) -> float:
    """How probable it is to be right at least so often by guessing, 1 of 2 each time: the sign test.

    Exact, where Wilson's interval for a few trials is too narrow: of 4 hits out of 4 it begins above ½, and
    guessing comes to them once in 16 times. A tie, half a hit, is rounded down.
    """

    def exactly(right: int) -> float:
        ways = math.lgamma(count + 1) - math.lgamma(right + 1) - math.lgamma(count - right + 1)
        return math.exp(ways - count * math.log(2))

    return math.fsum(exactly(right) for right in range(math.floor(hits), count + 1))
