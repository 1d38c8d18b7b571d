"""How fast one epoch is, in the terms that a peer's script can be compared by.

    python -m engine.bench dpo --model DIR --data FILE --pairs 128 [--bf16]

The data is JSON Lines with "prompt", "chosen" and "rejected" strings, or with hh-rlhf's "chosen" and
"rejected" transcripts. The run is a real one (`engine.job.train`) with a template that adds nothing but
the end token: LoRA of rank 16, AdamW at 1e-4 falling to 0, batches of 8, seed 0.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import job, models
from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Rated
from engine.products import linear
from engine.spec import Event, Spec, method_named

TURN = "\n\nAssistant:"
PLAIN = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)


def bench(method: str, model: str | Path, data: Path, pairs: int = 128, bf16: bool = False) -> dict[str, Any]:
    """Train one epoch and return its figures.

    method pairs bf16; seconds, from the loaded base to the end of the last step; peak_rss_gb, of this process
    from its start; losses, one per step; fraction_of_peak, the products that the epoch cannot do without over
    what this machine could have done in that time by its fastest matrix product, and fraction_of_torch_peak,
    by torch's own (`engine.products` has the difference). Raises UserError for a file that cannot be used.
    """
    read = read_pairs(data, pairs)
    rows = _examples(method_named(method).learns_from, read)
    base = models.load(str(model), "bf16" if bf16 else "fp32")
    seen: list[tuple[float, Event]] = []
    options = {"learning_rate": 1e-4, "save_every": 10**6}
    if method == "reward":
        options["held_out"] = 0.0  # the peer trains on all pairs
    spec = Spec(
        method=method,
        base=str(model),
        precision=base.precision,
        options=options,
        template=PLAIN,
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()

        def emit(event: Event) -> None:
            seen.append((time.perf_counter(), event))

        job.train(base, spec, rows, Path(folder), emit=emit, should_stop=lambda: "")
    ends, steps = zip(*((at, event.data) for at, event in seen if event.kind == "step"), strict=True)
    seconds = ends[-1] - began
    # a reward model's head is a vector, not a product with the vocabulary
    trained = 0 if method == "reward" else _trained([event for _, event in seen])
    own, fastest = (peak_products(base.device, base.dtype, by) for by in (torch.matmul, linear))
    work = _products(base, sum(step["tokens"] for step in steps), trained, reference=method in ("dpo", "kto"))
    return {
        "method": method,
        "pairs": len(read),
        "bf16": bf16,
        "seconds": round(seconds, 2),
        "peak_rss_gb": round(peak_memory(), 2),
        "fraction_of_peak": round(work / seconds / max(own, fastest), 3),
        "fraction_of_torch_peak": round(work / seconds / own, 3),
        "losses": [step["loss"] for step in steps],
    }


def read_pairs(file: Path, limit: int) -> list[tuple[str, str, str]]:
    """The first `limit` (prompt, chosen, rejected) of a file, less transcripts with unequal prompts."""
    rows: list[tuple[str, str, str]] = []
    number = 0
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            number += 1
            row = json.loads(line)
            prompt, chosen, rejected = row.get("prompt", ""), row["chosen"], row["rejected"]
            if "prompt" not in row:
                cut = chosen.rfind(TURN) + len(TURN)
                if rejected[:cut] != chosen[:cut]:
                    continue
                prompt, chosen, rejected = chosen[:cut], chosen[cut:], rejected[cut:]
            if not all(isinstance(text, str) for text in (prompt, chosen, rejected)):
                raise TypeError
            rows.append((prompt, chosen, rejected))
            if len(rows) == limit:
                break
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.", do="Check its name.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{file} is no file of pairs: line {number} is at fault.",
            do='Give JSON Lines with "prompt", "chosen" and "rejected" strings.',
        ) from error
    return rows


def _examples(kind: type[Any], rows: Sequence[tuple[str, str, str]]) -> list[Example]:
    """What a method that learns from `kind` makes of the pairs; rated replies are shuffled."""
    asked = [((Message("user", prompt),), chosen, rejected) for prompt, chosen, rejected in rows]
    if kind is Pair:
        return [Pair(*row) for row in asked]
    if kind is Demonstration:
        return [Demonstration((*prompt, Message("assistant", chosen))) for prompt, chosen, _ in asked]
    if kind is Rated:
        rated = [
            Rated(prompt, reply, good)
            for prompt, chosen, rejected in asked
            for reply, good in ((chosen, True), (rejected, False))
        ]
        random.Random(0).shuffle(rated)
        return list(rated)
    raise UserError("There is no benchmark for this method.", do="Choose sft, reward, dpo or kto.")


def _trained(seen: Sequence[Event]) -> int:
    return int(next(event.data["trained_tokens"] for event in seen if event.kind == "data"))


def _products(base: models.Base, tokens: int, trained: int, *, reference: bool) -> float:
    """Floating-point operations of the epoch's products, the adapter's and attention's left out.

    Forward takes 2 per weight and token, backward as many (the base's weights get no gradient), a
    reference pass is one more forward; the vocabulary head is met by trained tokens alone. KTO's mismatched
    replies are left out.
    """
    head = base.model.get_output_embeddings().weight
    # A tied head counts once among the parameters and is a product too; the embedding look-up is none.
    tied = head is base.model.get_input_embeddings().weight
    layers = base.parameters - int(head.numel()) * (1 if tied else 2)
    weights = layers * tokens + int(head.numel()) * trained
    return (3 if reference else 2) * 2.0 * weights


def peak_products(
    device: torch.device, dtype: torch.dtype, product: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Floating-point operations a second of a square matrix product on this machine, the best of a few."""
    side = 8192 if device.type == "cuda" else 2048
    a = torch.randn(side, side, device=device, dtype=dtype)

    def once() -> float:
        began = time.perf_counter()
        product(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return 2 * side**3 / min(once() for _ in range(5))


def peak_memory() -> float:
    """The most memory, in GB of 10⁹ bytes, that this process has held since it started."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def main(write: Callable[[str], None] = print) -> None:
    """The command line: one line of JSON."""
    parser = argparse.ArgumentParser(description="Time one epoch.")
    parser.add_argument("method")
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=128)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    try:
        write(json.dumps(bench(args.method, args.model, args.data, args.pairs, bf16=args.bf16)))
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
