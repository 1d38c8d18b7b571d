"""Base models: found, checked, loaded in one of three precisions, and fingerprinted.

Only safetensors weights are opened (pickled ones can run code) and only architectures that transformers
itself brings. A local folder never touches the network; a hub name does once, until it is cached.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from engine.errors import UserError
from engine.shards import Shards
from engine.spec import Precision

logging.set_verbosity_error()
logging.disable_progress_bar()

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+|[\w-]+")
HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]
# What a copy of the same model may differ in.
VOLATILE = {"_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache"}


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


def blocks(causal_lm: Any) -> list[torch.nn.Module]:
    """The layers that a model is a pile of; none when it is of a kind that transformers does not mark so."""
    return [module for module in causal_lm.modules() if isinstance(module, GradientCheckpointingLayer)]


def _recomputing(forward: Callable[..., Any]) -> Callable[..., Any]:
    def recomputing(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return recomputing


def locate(base: str) -> Path:
    """The folder of `base`: itself, or the hub's cached or freshly downloaded snapshot."""
    folder = Path(base).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or base.startswith((".", "~")) or not HUB_NAME.fullmatch(base):
        raise UserError(
            f"There is no model folder {base}.",
            do="Name a folder with config.json, a tokenizer and safetensors weights, or a model of the hub.",
        )
    return _cached(base) or _download(base)


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        read_config(folder)
        _weight_files(folder)
    except (LocalEntryNotFoundError, UserError):
        return None
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES))
    except GatedRepoError as error:
        raise UserError(
            f"The hub lets only people who asked for it download {name}.",
            do="Accept its terms on the hub's page, then log in with `hf auth login`.",
        ) from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"There is no folder {name} here, and no model of that name on the hub.", do="Check the name."
        ) from error
    except Exception as error:  # the hub client raises whatever its HTTP library does
        raise UserError(
            f"There is no folder {name} here, and the hub cannot be reached ({type(error).__name__}).",
            do="Connect to the network once; after that the model is cached. Or name a local folder.",
        ) from error


def read_config(folder: Path) -> Any:
    """The transformers configuration in `folder`, checked to be a causal language model's."""
    file = folder / "config.json"
    if not file.is_file():
        raise UserError(f"{folder} is no model: it has no config.json.", do="Name the folder that has one.")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers raises a different class for each way to be wrong
        raise UserError(
            f"{file} cannot be used: {_first_line(error)}",
            do="Download the model again, or choose an architecture that transformers brings itself.",
        ) from error
    named = raw.get("architectures") or []
    known = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    wanted = {known} if isinstance(known, str) else set(known or ())
    if not wanted or (named and not wanted & set(named)):
        raise UserError(
            f"{folder} is a {(named or [config.model_type])[0]}, not a causal language model.",
            do="Choose a model that continues text (…ForCausalLM).",
        )
    return config


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`."""
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise UserError(
            f"{folder} has no tokenizer.", do="Copy tokenizer.json and tokenizer_config.json there."
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise UserError(
            f"The tokenizer in {folder} cannot be read: {_first_line(error)}", do="Download the model again."
        ) from error


def tokenizer_hash(tokenizer: Any) -> str:
    """SHA-256, in hex, of what a tokenizer makes of text: its vocabulary, merges, and special tokens."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256(
        f"{text}\n{sorted(tokenizer.special_tokens_map.items(), key=str)}".encode()
    ).hexdigest()


def context_length(config: Any) -> int:
    """The longest sequence, in tokens, that the model was made for."""
    text = config.get_text_config()
    length = getattr(text, "max_position_embeddings", None) or getattr(text, "max_seq_len", None)
    return int(length) if length else 2048


def fingerprint(base: str) -> str:
    """SHA-256, in hex, of a base's weights and of its configuration, less what copies may differ in."""
    folder = locate(base)
    files = [*_weight_files(folder), folder / "config.json"]
    return _fingerprint(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@lru_cache
def _fingerprint(files: tuple[tuple[Path, int, int], ...]) -> str:
    *weights, (config, _, _) = files
    kept = {k: v for k, v in json.loads(config.read_text(encoding="utf-8")).items() if k not in VOLATILE}
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(sha256_of, [file for file, _, _ in weights]))
    return hashlib.sha256("\n".join([json.dumps(kept, sort_keys=True), *digests]).encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """SHA-256, in hex, of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, each one that its index names, sorted by name."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{index} is broken.", do="Download the model again.") from error
        files = [folder / name for name in names]
    else:
        files = sorted(folder.glob("model*.safetensors"))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}.", do="Download the model again.")
    if files:
        return files
    if [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]:
        raise UserError(
            f"{folder} has pickled weights only, which can run code when they are opened.",
            do="Get the same model in safetensors, or convert it where you trust it.",
        )
    raise UserError(f"{folder} has no weights.", do="Put model.safetensors there.")


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
    _weight_files(folder)
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
        )
    except Exception as error:
        if out_of_memory(error):
            raise UserError(
                f"Memory does not suffice to load {folder} as {precision}.",
                do="Load it as nf4 (a quarter of bf16's memory), cut it up among devices (--processes N "
                "--shard), or choose a smaller model.",
            ) from error
        raise UserError(
            f"The weights in {folder} cannot be loaded: {_first_line(error)}", do="Download the model again."
        ) from error
    if report["missing_keys"] or report["mismatched_keys"]:
        names = [*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])]
        raise UserError(
            f"The weights in {folder} are incomplete: {len(names)} tensors are missing or of another shape, "
            f"{sorted(names)[0]} among them.",
            do="Download the model again.",
        )
    if quantization:
        _keep_trainable(model)
    return model.requires_grad_(False).eval()


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


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
