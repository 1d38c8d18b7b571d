"""Makes the base from nothing: `python -m assets.base.make --out DIR [--seed 0]`.

The text is the world's, the tokenizer is made from it, and the model learns what the assistant says.
The same seed on the same kind of machine, with the same number of threads, makes the same weights.
"""

import argparse
import random
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from assets.base.tokens import CONTEXT, encode, make_tokenizer
from assets.world import dialogues

DIALOGUES = 200_000
CHUNK = 8192  # dialogues that are sorted by length together
TOKENS = 2048  # in a batch, padding included
LEARNING_RATE = 3e-3
WARM_UP = 200

Batch = tuple[torch.Tensor, torch.Tensor]  # (B, T) token ids, (B, T) mask of the assistant's tokens


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dialogues", type=int, default=DIALOGUES)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    tokenizer = make_tokenizer(args.seed)
    model = LlamaForCausalLM(configuration(tokenizer))
    model.set_attn_implementation("eager")  # on rows this short, faster than the flash kernel of the CPU
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters", flush=True)
    train(model, tokenizer, args.seed, args.dialogues)
    save(model, tokenizer, args.out)


def configuration(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """A small Llama; every width divides by 64, as 4-bit blocks want it."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, seed: int, n: int) -> None:
    """One pass over `n` dialogues: AdamW in float32, products in bfloat16, the rate falling to nothing."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.1, fused=True
    )
    began, read, seen, total, step = time.monotonic(), 0, 0, 0.0, 0
    for done, (ids, mask) in batches(tokenizer, seed, n):
        rate = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP) * (1 - done / n)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = reply_loss(model, ids, mask)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step, read, seen, total = step + 1, read + ids.numel(), seen + 1, total + loss.item()
        if step % 250 == 0:
            seconds = time.monotonic() - began
            print(
                f"step {step}  {done / n:.0%}  loss {total / seen:.4f}  {read / seconds:.0f} tokens/s",
                flush=True,
            )
            seen, total = 0, 0.0


def reply_loss(model: LlamaForCausalLM, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the assistant's tokens; padding is on the right, so causality hides it."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1][mask[:, 1:]]  # (N, D)
        logits = model.lm_head(hidden)  # (N, V)
    return cross_entropy(logits.float(), ids[:, 1:][mask[:, 1:]])


def batches(tokenizer: PreTrainedTokenizerFast, seed: int, n: int) -> Iterator[tuple[int, Batch]]:
    """Batches of dialogues of like length, each with the number of dialogues read before it."""
    rng = random.Random(seed)
    stream = dialogues(seed, n)
    done = 0
    while chunk := list(islice(stream, CHUNK)):
        rows = sorted(encode(tokenizer, chunk), key=lambda row: len(row[0]))
        cuts = list(cut(rows))
        rng.shuffle(cuts)
        for rows in cuts:
            yield done, pad(rows, tokenizer.pad_token_id)
            done += len(rows)


def cut(rows: list[tuple[list[int], list[int]]]) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Rows, sorted by length, in batches of at most `TOKENS` tokens."""
    batch: list[tuple[list[int], list[int]]] = []
    for row in rows:
        if batch and len(row[0]) * (len(batch) + 1) > TOKENS:
            yield batch
            batch = []
        batch.append(row)
    yield batch


def pad(rows: list[tuple[list[int], list[int]]], token: int) -> Batch:
    """Rows as tensors, filled up on the right."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [token] * (width - len(ids)) for ids, _ in rows])
    mask = torch.tensor([mask + [0] * (width - len(mask)) for _, mask in rows], dtype=torch.bool)
    return ids, mask


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Weights in bfloat16, configurations, tokenizer and template."""
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    main()
