"""Base models in memory: loaded in one of three precisions, frozen, whole or a part of them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from engine.base_files import (
    context_length,
    fingerprint,
    first_line,
    load_tokenizer,
    locate,
    read_config,
    weight_files,
)
from engine.blocks import as_now, blocks
from engine.errors import UserError
from engine.shards import Shards
from engine.spec import Precision


@dataclass(frozen=True)
class Base:
    """A frozen base model and what belongs to it.

    `precision` is what "auto" became; `context` the longest row, in tokens; `end_tokens` the ids at
    which generation stops, the tokenizer's own first; `attached` what `engine.adapters` has put on it;
    `shards` says how it is cut up among processes, None when this one has all of it.
    """

    name: str
    folder: Path
    model: Any
    tokenizer: Any
    device: torch.device
    precision: Precision
    fingerprint: str
    context: int
    end_tokens: tuple[int, ...]
    attached: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    shards: Shards | None = None

    @property
    def parameters(self) -> int:
        """How many numbers the base has; a 4-bit one counts as one."""
        return int(self.model.num_parameters(exclude_embeddings=False))

    @property
    def dtype(self) -> torch.dtype:
        """What products are computed in."""
        return torch.bfloat16 if self._half else torch.float32

    def autocast(self) -> torch.autocast:
        """A context in which products run in bf16 if the base does, although the adapter is fp32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._half)

    @property
    def _half(self) -> bool:
        return computes_in_half(self.precision, self.device)


def load(
    base: str,
    precision: Precision = "auto",
    device: str | torch.device | None = None,
    *,
    sharded: bool = False,
) -> Base:
    """Load `base` (a folder or a hub name), frozen and in eval mode, onto `device` (default: a GPU if any).

    `sharded` leaves each process its part of it (`engine.shards`); all of them call this together.

    Raises UserError when there is no such model, when it is not a causal language model in safetensors,
    when a file is broken, or when memory does not suffice.
    """
    folder = locate(base)
    config = read_config(folder)
    rank = os.environ.get("LOCAL_RANK", "0")  # `accelerate launch` gives each process a GPU
    place = torch.device(device or (f"cuda:{rank}" if torch.cuda.is_available() else "cpu"))
    if precision == "auto":
        precision = "bf16" if place.type == "cuda" else "fp32"
    tokenizer = load_tokenizer(folder)
    loading = (folder, config, precision, place)
    model, shards = _load_sharded(*loading) if sharded else (_load_weights(*loading), None)
    ends = [tokenizer.eos_token_id, model.generation_config.eos_token_id]
    flat = [i for entry in ends for i in (entry if isinstance(entry, list) else [entry]) if i is not None]
    return Base(
        name=base,
        folder=folder,
        model=model,
        tokenizer=tokenizer,
        device=place,
        precision=precision,
        fingerprint=fingerprint(base),
        context=context_length(config),
        end_tokens=tuple(dict.fromkeys(flat)),
        shards=shards,
    )


def computes_in_half(precision: Precision, device: torch.device) -> bool:
    """Whether products run in bf16: a 4-bit base's do on a GPU alone."""
    return precision == "bf16" or (precision == "nf4" and device.type == "cuda")


def weights(base: Base) -> dict[str, torch.Tensor]:
    """A base's own weights by parameter, read from its folder again, in the precision it was loaded in."""
    again = _load_weights(base.folder, read_config(base.folder), base.precision, base.device)
    return {name: parameter.detach() for name, parameter in again.named_parameters()}


def upcast_norms(causal_lm: Any) -> None:
    """Make the norms' weights, and nothing else, float32: what training over 4-bit weights does.

    Embeddings and head stay as they are: in float32 they would take twice their memory, for nothing.
    """
    for module in causal_lm.modules():
        if "Norm" in type(module).__name__:
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.float()


def recompute_activations(base: Base) -> None:
    """Gradient checkpointing (arXiv:1604.06174): each block keeps its input alone and is computed again.

    It works in eval mode, where transformers' own does nothing, and not without gradients. Raises UserError
    when the architecture is not made of blocks that can be.
    """
    found = blocks(base.model)
    if not found:
        raise UserError(
            f"Gradient checkpointing does not work with {type(base.model).__name__}.",
            do="Train without it, with fewer micro_tokens.",
        )
    for block in found:
        if "forward" not in vars(block):
            block.forward = _recomputing(block.forward)


def _recomputing(forward: Callable[..., Any]) -> Callable[..., Any]:
    def recomputing(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(as_now(forward), *args, use_reentrant=False, **kwargs)

    return recomputing


def _load_sharded(
    folder: Path, config: Any, precision: Precision, device: torch.device
) -> tuple[Any, Shards]:
    """The model and how it is cut up. The processes of a machine load it whole one after the other, into the
    machine's memory: a device never holds more than its part and a block."""
    process = PartialState(cpu=device.type == "cpu")
    if process.num_processes == 1:
        raise UserError(
            "There is one process alone to cut the base up among.", do="Start it without --shard."
        )
    for turn in range(int(os.environ["LOCAL_WORLD_SIZE"])):
        if turn == process.local_process_index:
            model = _load_weights(folder, config, precision, device, torch.device("cpu"))
            shards = Shards(model, blocks(model), device)
        process.wait_for_everyone()
    return model, shards


def _load_weights(
    folder: Path, config: Any, precision: Precision, device: torch.device, memory: torch.device | None = None
) -> Any:
    """The model for `device`, in its memory or another's."""
    weight_files(folder)
    dtype = torch.bfloat16 if computes_in_half(precision, device) else torch.float32
    quantization = None
    if precision == "nf4":
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            quantization_config=quantization,
            device_map={"": memory or device},
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # the report names them, and they are refused
        )
    except Exception as error:
        if out_of_memory(error):
            raise UserError(
                f"Memory does not suffice to load {folder} as {precision}.",
                do="Load it as nf4 (a quarter of bf16's memory), cut it up among devices (--processes N "
                "--shard), or choose a smaller model.",
            ) from error
        raise UserError(
            f"The weights in {folder} cannot be loaded: {first_line(error)}", do="Download the model again."
        ) from error
    names = [*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])]
    if quantization:
        names += _of_another_shape(model)
        _keep_trainable(model)
    if names:
        raise UserError(
            f"The weights in {folder} are incomplete: {len(names)} tensors are missing or of another shape, "
            f"{sorted(names)[0]} among them.",
            do="Download the model again.",
        )
    return model.requires_grad_(False).eval()


def _of_another_shape(model: Any) -> list[str]:
    """The 4-bit weights whose shape is not their layer's, which transformers puts there all the same."""
    from bitsandbytes.nn import Linear4bit

    return [
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, Linear4bit)
        and module.weight.quant_state is not None
        and tuple(module.weight.quant_state.shape) != (module.out_features, module.in_features)
    ]


def _keep_trainable(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights at the first eval forward on an AVX512-BF16 CPU.

    Repacked layers give no gradient to their input, in silence.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, a GPU's or the machine's, ran out."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        (
            "can't allocate memory" in text,  # torch
            text in ("could not create a primitive", "could not create a memory object"),  # oneDNN
            text == "can't start new thread",  # Python, whose threads want a stack each
        )
    )
