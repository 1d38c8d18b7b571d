"""Adapters on disk: peft's two files and our card. Of others' files, shapes and scale alone are believed.

`adapter_model.safetensors` and `adapter_config.json` are what peft reads, with `tuner.json` beside them.
PiSSA is written as the plain LoRA of twice the rank that fits the untouched base, as by peft's own
conversion: W + s (B A − B₀ A₀) = W + s [B, −B₀] [A; A₀]. A full fine-tuning has no `adapter_config.json`; its
tensors have the names of the base's parameters.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.base_files import sha256_of
from engine.cards import CARD, card
from engine.disk import whole
from engine.errors import UserError

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
HEAD = "head.safetensors"  # a reward model's, beside them
PREFIX = "base_model.model."  # of every tensor in peft's files
MAGNITUDE = ".lora_magnitude_vector"


@dataclass(frozen=True)
class Shape:
    """What an adapter's files say of it: `ranks` by module path, and the scale alpha / rank.

    `alphas` holds the modules whose alpha is another; with `rslora` the scale is alpha / √rank. Of a full
    fine-tuning only the kind counts. `rank` and `alpha` are those of the files: PiSSA's are twice the run's.
    """

    kind: str
    rank: int = 0
    alpha: float = 0.0
    dropout: float = 0.0
    rslora: bool = False
    ranks: Mapping[str, int] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)


def read(folder: Path) -> tuple[Shape, dict[str, Tensor]]:
    """An adapter's shape and tensors. Raises UserError when files are missing, broken or of no known kind."""
    try:
        shape = _shape_in(folder)
        return shape, load_file(folder / WEIGHTS)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, SafetensorError) as error:
        raise _unusable(folder, error) from error


def hash_of(folder: Path) -> str:
    """SHA-256, in hex, of an adapter's weights, of the scale they are used with, and of its head, if any."""
    try:
        shape = _shape_in(folder)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, SafetensorError) as error:
        raise _unusable(folder, error) from error
    scale: list[Any] = [shape.rank, float(shape.alpha), shape.rslora, dict(shape.alphas)]
    if shape.kind in ("dora", "full"):
        scale.append(shape.kind)
    head = sha256_of(folder / HEAD) if (folder / HEAD).is_file() else ""
    text = sha256_of(folder / WEIGHTS) + head + json.dumps(scale, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write(
    folder: Path,
    tensors: Mapping[str, Tensor],
    config: Mapping[str, Any] | None,
    about: Mapping[str, Any],
    head: Mapping[str, Tensor] | None,
) -> None:
    """Write an adapter to `folder`, whole or not at all: tensors, configuration, card and scalar head."""
    with whole(folder, kept="The run's last checkpoint is safe.") as temporary:
        save_file(_ready(tensors), temporary / WEIGHTS, metadata={"format": "pt"})
        if head:
            save_file(_ready(head), temporary / HEAD)
        for name, data in ((CONFIG, config), (CARD, about)):
            if data is not None:
                text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
                (temporary / name).write_text(text, encoding="utf-8")


def _ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in tensors.items()}


def _unusable(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"The adapter in {folder} cannot be used: {error}",
        do="Train it again, or get another copy of its files.",
    )


def _shape_in(folder: Path) -> Shape:
    kind = card(folder).get("kind")
    if not (folder / WEIGHTS).is_file() or (kind != "full" and not (folder / CONFIG).is_file()):
        raise UserError(f"There is no adapter in {folder}.", do=f"Name a folder with {CONFIG} and {WEIGHTS}.")
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        sizes = {key: list(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    if kind == "full":
        return Shape("full")
    shape = _shape(json.loads((folder / CONFIG).read_text(encoding="utf-8")), sizes)
    if kind == "pissa" and shape.kind == "lora" and not any(rank % 2 for rank in shape.ranks.values()):
        return Shape(**{**vars(shape), "kind": "pissa"})
    return shape


def _shape(config: dict[str, Any], sizes: Mapping[str, list[int]]) -> Shape:
    """The shape by the tensors' own `sizes`; of the configuration only numbers and refusals are taken."""
    if config.get("peft_type") != "LORA":
        raise ValueError(f"it is of type {config.get('peft_type')}, not LORA")
    for feature in ("modules_to_save", "trainable_token_indices", "lora_bias"):
        if config.get(feature):
            raise ValueError(f"it uses {feature}, which is not supported")
    if config.get("bias", "none") != "none":
        raise ValueError("it trains biases, which is not supported")
    dora = bool(config.get("use_dora"))
    endings = (".lora_A.weight", ".lora_B.weight", *((MAGNITUDE,) if dora else ()))
    ranks = {}
    for key, size in sizes.items():
        ending = next((ending for ending in endings if key.endswith(ending)), None)
        if ending is None or len(size) != (1 if ending == MAGNITUDE else 2):
            raise ValueError(f"{key} is no LoRA weight of a linear layer")
        if ending == ".lora_A.weight":
            ranks[key.removeprefix(PREFIX).removesuffix(ending)] = int(size[0])
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    if not ranks or rank < 1:
        raise ValueError("it adapts nothing")
    patterns = {str(k).lstrip("^"): float(v) for k, v in (config.get("alpha_pattern") or {}).items()}
    alphas = {
        path: patterns[name]
        for path in ranks
        for name in patterns
        if path == name or path.endswith(f".{name}")
    }
    dropout, rslora = float(config.get("lora_dropout") or 0.0), bool(config.get("use_rslora"))
    kind = "dora" if dora else "rslora" if rslora else "lora"
    return Shape(kind, rank, alpha, dropout, rslora, ranks, alphas)
