"""Which layouts (`engine.batches.Layout`) a model can be given, and which of them a run uses.

The tree layout computes a prompt that several replies share once, and costs least wherever it is possible
(tests/bench/README.md has the figures). A row each is what is left for models that cannot take a mask of our
own, for sequences longer than attention reaches back, and for trees of one branch: padded, or without padding
where flash-attn's kernels take rows of unequal length.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import torch

from engine import attention, blocks
from engine.base_files import first_line
from engine.batches import Branch, Layout, Tree, collate
from engine.errors import UserError
from engine.examples import Prompt
from engine.logps import token_log_probs
from engine.models import Base, out_of_memory
from engine.spec import method_named

if TYPE_CHECKING:
    from engine.job import Job


def check_head(causal_lm: Any, vocabulary: int) -> None:
    """Raise UserError when the model gives no finite numbers, or padded rows not what its own logits say.

    In the latter case the head does something that `engine.logps.head_of` does not know. So too when the
    model cannot be computed at all: some architectures read weights past the layers, which are 4-bit then.
    """
    tree = _probe(vocabulary)
    try:
        with torch.no_grad():
            own = torch.cat([_own_log_probs(causal_lm, tree.prompt, branch.ids) for branch in tree.branches])
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise UserError(
            f"{type(causal_lm).__name__} cannot be computed in this precision: {first_line(error)}",
            do="Choose precision fp32 or bf16, or a model of another architecture.",
        ) from error
    if not own.isfinite().all():
        raise UserError(
            "The model gives log-probs that are no numbers: its weights are damaged, or too large for this "
            "precision.",
            do="Try precision fp32; if that does not help, get another copy of the model.",
        )
    if not close(_log_probs(causal_lm, tree, "padded"), own, causal_lm):
        raise UserError(
            f"{type(causal_lm).__name__} makes logits of hidden states in a way that is not known here.",
            do="Choose a model of another architecture.",
        )


def takes(causal_lm: Any, vocabulary: int, layout: Layout) -> bool:
    """Whether `layout` gives the log-probs of padded rows for this very model.

    Trees do not where attention ignores a mask of our own, trees and packed rows do not where positions are
    counted, not given (ALiBi, state-space models).
    """
    tree = _probe(vocabulary)
    return _gives(causal_lm, tree, layout, _log_probs(causal_lm, tree, "padded"))


def choose(job: "Job", trees: Sequence[Tree]) -> Layout:
    """The layout for a run on `trees`, for which attention is made as fast as it can be."""
    attention.use(job.base.model, job.base.dtype)
    if job.takes_trees and any(len(tree.branches) > 1 for tree in trees):
        if can_share(job, trees):
            return "tree"
        job.warn(
            f"Some rows are longer than the {window(job.base.model)} tokens the model's attention "
            "reaches back: each reply gets a row of its own (slower)."
        )
    draws = method_named(job.spec.method).learns_from is Prompt  # from caches that flash-attn does not take
    return "packed" if not draws and _use_flash_attn(job.base) else "padded"


def can_share(job: "Job", trees: Sequence[Tree]) -> bool:
    """Whether the replies of each of `trees` can share its prompt, in the tree layout."""
    reach = window(job.base.model)
    return job.takes_trees and (not reach or all(tree.longest <= reach for tree in trees))


def window(causal_lm: Any) -> int | None:
    """The shortest reach of the model's attention in tokens, None when it is unlimited.

    A sequence longer than this needs the model's own mask: the tree layout's has no window.
    """
    config = causal_lm.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    if kinds and not kinds & {"sliding_attention", "chunked_attention"}:
        return None
    if getattr(config, "use_sliding_window", True) is False:
        return None
    reaches = [
        getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "window_size")
    ]
    return min((int(reach) for reach in reaches if isinstance(reach, int)), default=None)


@contextmanager
def attention_restored(base: Base) -> Iterator[None]:
    """At its end attention runs on the kernels that it ran on before: chat and evaluation follow."""
    before = base.model.config._attn_implementation
    try:
        yield
    finally:
        if base.model.config._attn_implementation != before:
            base.model.set_attn_implementation(before)


@contextmanager
def last_block_narrowed(base: Base) -> Iterator[None]:
    """Inside, the last block computes what is read alone (`engine.blocks`), if the model gives the same."""
    tree = _probe(len(base.tokenizer))
    with base.autocast():
        whole = _log_probs(base.model, tree, "padded")
        widen = blocks.narrow(base.model)
        if not _gives(base.model, tree, "padded", whole):
            widen()
    try:
        yield
    finally:
        widen()


def _use_flash_attn(base: Base) -> bool:
    """Let attention run on flash-attn's kernels, where they are installed and packed rows come out right."""
    if base.device.type != "cuda" or base.dtype != torch.bfloat16 or find_spec("flash_attn") is None:
        return False
    before = base.model.config._attn_implementation
    try:
        base.model.set_attn_implementation("flash_attention_2")
    except (ValueError, ImportError):  # an architecture or a GPU that they do not serve
        return False
    with base.autocast():
        right = takes(base.model, len(base.tokenizer), "packed")
    if not right:
        base.model.set_attn_implementation(before)
    return right


def _probe(vocabulary: int) -> Tree:
    tokens = torch.randint(vocabulary, (21,), generator=torch.Generator().manual_seed(0)).tolist()
    return Tree(tokens[:7], [Branch.reply(tokens[7:12]), Branch.reply(tokens[12:])])


def _gives(causal_lm: Any, tree: Tree, layout: Layout, expected: torch.Tensor) -> bool:
    try:
        return close(_log_probs(causal_lm, tree, layout), expected, causal_lm)
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False


def _log_probs(causal_lm: Any, tree: Tree, layout: Layout) -> torch.Tensor:
    dtype = causal_lm.get_input_embeddings().weight.dtype
    with torch.no_grad():
        return token_log_probs(
            causal_lm, collate([tree], layout=layout, device=causal_lm.device, dtype=dtype)
        )


def _own_log_probs(causal_lm: Any, prompt: Sequence[int], reply: Sequence[int]) -> torch.Tensor:
    """The reply's log-probs (len(reply),) by the model's own logits."""
    ids = torch.tensor([[*prompt, *reply]], device=causal_lm.device)
    logits = causal_lm(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    values: torch.Tensor = logits.log_softmax(-1).gather(-1, ids[0, len(prompt) :, None]).squeeze(-1)
    return values


def close(found: torch.Tensor, expected: torch.Tensor, causal_lm: Any) -> bool:
    """Whether log-probs are those expected, up to the rounding of the model's precision."""
    exact = causal_lm.get_input_embeddings().weight.dtype == torch.float32
    tolerance = 1e-4 if exact else 0.1
    return bool(torch.allclose(found, expected, rtol=tolerance, atol=tolerance))
