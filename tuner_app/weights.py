"""What a base is made of, read without loading it: numbers, bytes, licence. No torch.

Of a folder the headers of its safetensors files are read; of a model on the hub the hub is asked for them,
and nothing else is downloaded.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import UserError
from tuner_app import bases

UNKNOWN = "not stated"
# What is left as it is when a model is loaded in 4 bits: tables of tokens and positions, and the head.
TABLES = ("embed", "wte", "wpe", "lm_head", "word_embeddings")


@dataclass(frozen=True)
class Weights:
    """How many numbers a base has, `linear` of them in layers that 4 bits can hold; `bytes` on the disk as
    `dtype` ("BF16"); `cached` numbers kept for each token of a conversation, which has `context` at most."""

    parameters: int
    linear: int
    bytes: int
    dtype: str
    licence: str
    layers: int
    hidden: int
    cached: int
    vocabulary: int
    context: int


def read(source: str) -> Weights:
    """What is known of the base at `source`, a folder or a hub name; a UserError where that is nothing."""
    folder = Path(bases.located(source)).expanduser()
    if not folder.is_dir():
        cached = bases.cached(source)
        if cached is None or not [*cached.glob("*.safetensors")]:
            return _of_hub(source)
        folder = cached
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        files = sorted(folder.glob("*.safetensors"))
        tensors = [tensor for file in files for tensor in _header(file)]
        return _weights(config, tensors, sum(file.stat().st_size for file in files), _licence(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{folder} cannot be read: {error}.", do="Get another copy of the model's files."
        ) from error


def _weights(
    config: Mapping[str, Any], tensors: Iterable[tuple[str, list[int], str]], bytes: int, licence: str
) -> Weights:
    """From a configuration, and name, shape and type of each tensor."""
    text = {**config, **config.get("text_config", {})}
    sizes: dict[str, int] = {}
    parameters = linear = 0
    for name, shape, dtype in tensors:
        count = math.prod(shape)
        parameters += count
        sizes[dtype] = sizes.get(dtype, 0) + count
        if len(shape) > 1 and not any(table in name for table in TABLES):
            linear += count
    layers = _first(text, "num_hidden_layers", "n_layer")
    hidden = _first(text, "hidden_size", "n_embd", "d_model")
    heads = _first(text, "num_attention_heads", "n_head") or 1
    of_head = _first(text, "head_dim") or hidden // heads
    return Weights(
        parameters=parameters,
        linear=linear,
        bytes=bytes,
        dtype=max(sizes, key=lambda dtype: sizes[dtype], default=UNKNOWN),
        licence=licence,
        layers=layers,
        hidden=hidden,
        cached=2 * layers * (_first(text, "num_key_value_heads") or heads) * of_head,
        vocabulary=_first(text, "vocab_size"),
        context=_first(text, "max_position_embeddings", "n_positions") or 2048,
    )


def _first(config: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if isinstance(value := config.get(name), int)), 0)


def _header(file: Path) -> list[tuple[str, list[int], str]]:
    """Name, shape and type of every tensor: eight bytes that say how long the JSON is, then the JSON."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= file.stat().st_size - 8:
            raise ValueError(f"{file.name} is cut off or no safetensors file")
        header = json.loads(stream.read(length))
    return [(n, facts["shape"], facts["dtype"]) for n, facts in header.items() if n != "__metadata__"]


def _licence(folder: Path) -> str:
    """As the model card says; else the first line of the licence's own file."""
    from huggingface_hub.repocard import metadata_load

    try:
        stated = (metadata_load(folder / "README.md") or {}).get("license")
    except (OSError, ValueError):
        stated = None
    if stated:
        return str(stated)
    for file in sorted(folder.glob("LICEN[CS]E*")):
        lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in lines if line.strip()), UNKNOWN)
    return UNKNOWN


def _of_hub(name: str) -> Weights:
    from huggingface_hub import HfApi, hf_hub_download

    api = HfApi()
    try:
        about = api.model_info(name, files_metadata=True)
        headers = api.get_safetensors_metadata(name).files_metadata.values()
        config = json.loads(Path(hf_hub_download(name, "config.json")).read_text(encoding="utf-8"))
    except Exception as error:  # the hub client raises whatever its HTTP library does
        raise UserError(
            f"Nothing could be learnt of {name} from the hub: {str(error).splitlines()[0] or type(error)}.",
            kept="Nothing was downloaded.",
            do="Check its name and the network, or download it elsewhere and name its folder.",
        ) from error
    tensors = [
        (name, tensor.shape, tensor.dtype) for header in headers for name, tensor in header.tensors.items()
    ]
    files = about.siblings or []
    bytes = sum(file.size or 0 for file in files if file.rfilename.endswith(".safetensors"))
    return _weights(config, tensors, bytes, (about.card_data and about.card_data.license) or UNKNOWN)
