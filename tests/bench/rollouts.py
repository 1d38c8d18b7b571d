"""Tokens per second of our rollouts and of transformers' `generate`, in turn on one model, LoRA on.

    python tests/bench/rollouts.py --model DIR --data FILE [--rows 32] [--tokens 64] [--times 3]

DIR is a causal language model, FILE holds lines of {"chosen": …, "rejected": …} as in hh-rlhf, of which the
prompts are taken. Both sides are greedy, never stop before `--tokens`, and must give the same tokens; ours
merges the adapter into a copy first, and that time counts. Prints one line of JSON.
"""

import argparse
import copy
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from engine import adapters, models, rollouts
from engine.bench import read_pairs
from engine.spec import Adapter


def main() -> None:
    """Measure, compare, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()

    base = models.load(str(args.model))
    adapters.add(base, Adapter(), seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for tensor in adapters.state(base).values():
            noise = torch.randn(tensor.shape, generator=generator) * 0.02
            tensor.add_(noise.to(tensor.device))  # a trained adapter's B is not zero
    prompts = [base.tokenizer.encode(prompt)[-256:] for prompt, _, _ in read_pairs(args.data, args.rows)]

    def peer() -> list[list[int]]:
        return generate(base, prompts, args.tokens)

    def ours() -> list[list[int]]:
        return roll_out(base, prompts, args.tokens)

    sides = {"ours": ours, "generate": peer}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    tokens = {}
    for name, side in sides.items():
        tokens[name] = side()
    for _ in range(args.times):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - began)
    count = args.rows * args.tokens
    speed = {name: round(count / statistics.median(values), 1) for name, values in seconds.items()}
    same = sum(a == b for a, b in zip(tokens["ours"], tokens["generate"], strict=True))
    figures: dict[str, Any] = {"rows": args.rows, "tokens": args.tokens, "tokens_per_second": speed}
    figures |= {"ratio": round(speed["ours"] / speed["generate"], 2), "same_rows": same}
    print(json.dumps(figures))


def generate(base: models.Base, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    """Greedy replies of transformers' `generate`, left-padded."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=base.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    config = copy.deepcopy(base.model.generation_config)
    config.update(
        do_sample=False, max_new_tokens=tokens, min_new_tokens=tokens, eos_token_id=None, pad_token_id=0
    )
    with torch.inference_mode(), base.autocast():
        out = base.model.generate(
            input_ids=ids, attention_mask=mask.to(base.device), generation_config=config
        )
    return [row[width:] for row in out.tolist()]


def roll_out(base: models.Base, prompts: list[list[int]], tokens: int) -> list[list[int]]:
    """Greedy replies of ours."""
    drawn = rollouts.sample(
        adapters.merged(base),
        prompts,
        seeds=[0] * len(prompts),
        samples=1,
        limit=tokens,
        temperature=0,
        ends=(),
        context=base.context,
    )
    return [replies[0].ids for replies in drawn]


if __name__ == "__main__":
    main()
