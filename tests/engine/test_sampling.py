"""Filters and penalties on random logits, against the papers' equations."""

import torch

from engine.sampling import Sampling, _filters, pick


class Answer:
    def __init__(self, ids: list[int], sampling: Sampling) -> None:
        self.ids, self.sampling = ids, sampling
        self.generator = torch.Generator().manual_seed(5)


def random_logits(rows: int = 6, words: int = 40) -> torch.Tensor:
    return 3 * torch.randn(rows, words, generator=torch.Generator().manual_seed(1))


def filtered(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    for process in _filters(sampling):
        logits = process(None, logits)
    return logits


def test_min_p_keeps_what_is_at_least_a_share_of_the_likeliest() -> None:
    """arXiv:2407.01082, equation 2; after the temperature, as transformers has it."""
    logits = random_logits()
    kept = filtered(logits, Sampling(temperature=1.5, min_p=0.2))
    p = (logits / 1.5).softmax(-1)
    keep = p >= 0.2 * p.max(-1, keepdim=True).values
    assert 0 < keep.sum() < keep.numel()
    assert torch.equal(kept.isfinite(), keep)
    assert torch.allclose(kept[keep], (logits / 1.5)[keep])


def test_repetition_penalty_divides_what_was_said_in_prompt_or_answer() -> None:
    """arXiv:1909.05858, section 4.1; negative scores are multiplied, so that they too get less likely."""
    logits = random_logits()
    said = [[0, 1, 2, 2], [5], [7, 8, 9], [0, 1, 2, 3], [39], [4]]
    penalized = logits.clone()
    for row, ids in enumerate(said):
        for token in set(ids):
            score = logits[row, token]
            penalized[row, token] = score / 1.7 if score > 0 else score * 1.7
    assert not torch.equal(penalized.argmax(-1), logits.argmax(-1)), "the test's penalty changes something"
    greedy = Sampling(temperature=0, repetition_penalty=1.7)
    assert pick(logits, [Answer(ids, greedy) for ids in said]) == penalized.argmax(-1).tolist()
    drawn = Sampling(repetition_penalty=1.7)
    plain = Sampling()
    assert pick(logits, [Answer(ids, drawn) for ids in said]) == pick(
        penalized, [Answer(ids, plain) for ids in said]
    )


def test_answers_drawn_in_several_ways_do_not_touch_each_other() -> None:
    logits = random_logits()
    ways = [
        Sampling(temperature=0),
        Sampling(min_p=0.3),
        Sampling(min_p=0.3, repetition_penalty=1.3),
        Sampling(top_k=3, top_p=0.8),
        Sampling(temperature=0, repetition_penalty=2.0),
        Sampling(min_p=0.3),
    ]
    together = pick(logits, [Answer([1, 2, 3], way) for way in ways])
    alone = [pick(logits[row : row + 1], [Answer([1, 2, 3], way)])[0] for row, way in enumerate(ways)]
    assert together == alone
