"""LoRA adapters (arXiv:2106.09685): added, continued, saved, and several by name on one base.

Always float32, whatever the base's precision: in bf16, 0.01 − 1e-5 is 0.01, and at DPO's learning rate
nothing would move. The layers are peft's, put in place inside the transformers model; the files are the
ones that peft reads, `adapter_model.safetensors` and `adapter_config.json`, and our `tuner.json` beside
them. A file made by others is never trusted to say more than shapes and scale.
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine import lora
from engine.disk import whole
from engine.errors import UserError
from engine.models import Base, sha256_of
from engine.spec import Adapter, Spec

if TYPE_CHECKING:
    from engine.heads import RewardHead

WEIGHTS, CONFIG, CARD = "adapter_model.safetensors", "adapter_config.json", "tuner.json"
HEAD = "head.safetensors"  # a reward model's, beside them
TRAINED = "trained"  # the name of the adapter that a run trains
PREFIX = "base_model.model."  # of every tensor in peft's files


@dataclass(frozen=True)
class Shape:
    """What an adapter's files say of it: `ranks` by module path, and the scale alpha / rank.

    `alphas` holds the modules whose alpha is another; with `rslora` the scale is alpha / √rank.
    """

    rank: int
    alpha: float
    dropout: float
    rslora: bool
    ranks: Mapping[str, int]
    alphas: Mapping[str, float]


def add(base: Base, adapter: Adapter, seed: int) -> None:
    """Put a fresh adapter on every linear layer but the head, ready to train: A random, B zero."""
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    torch.manual_seed(seed)
    _inject(base.model, config, TRAINED)
    _train(base.model, TRAINED)


def resume(base: Base, folder: Path) -> None:
    """Put the adapter in `folder` on the base, ready to be trained on. Raises UserError as `attach` does."""
    attach(base, TRAINED, folder)
    _train(base.model, TRAINED)


def attach(base: Base, name: str, folder: Path) -> None:
    """Load the adapter in `folder` under `name`, inactive; the base alone answers.

    Raises UserError when it is missing, broken, of another kind than LoRA, or made for another base.
    """
    shape, tensors = read(folder)
    made_for = card(folder).get("fingerprint", base.fingerprint)
    if made_for != base.fingerprint:
        raise UserError(
            f"The adapter in {folder} was trained on another base than {base.name}.",
            do=f"Load {card(folder).get('base') or 'the base it was trained on'} instead.",
        )
    modules = dict(base.model.named_modules())
    strangers = [path for path in shape.ranks if not isinstance(modules.get(path), nn.Module)]
    if strangers:
        raise UserError(
            f"The adapter in {folder} does not fit {base.name}: it adapts {strangers[0]}, which it lacks.",
            do="Load the base it was trained on.",
        )
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        use_rslora=shape.rslora,
        target_modules=list(shape.ranks),
        rank_pattern={f"^{path}": rank for path, rank in shape.ranks.items() if rank != shape.rank},
        alpha_pattern={f"^{path}": alpha for path, alpha in shape.alphas.items()},
        task_type="CAUSAL_LM",
    )
    _inject(base.model, config, key_of(name))
    parameters = state(base.model, name)
    wrong = [key for key in parameters if key not in tensors or tensors[key].shape != parameters[key].shape]
    if wrong or len(parameters) != len(tensors):
        detach(base, name)
        raise UserError(
            f"The adapter in {folder} does not fit {base.name}: its tensors have other names or shapes.",
            do="Load the base it was trained on.",
        )
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(tensors[key])
    activate(base, None)


def activate(base: Base, name: str | None) -> None:
    """Let the adapter called `name` answer, or with None the base alone."""
    for layer in _layers(base.model):
        if name is not None:
            layer.set_adapter(key_of(name), inference_mode=True)
        layer.enable_adapters(name is not None)
    base.model.requires_grad_(False)


def train(base: Base, name: str) -> None:
    """Let the adapter called `name` answer, and it alone take gradients."""
    _train(base.model, name)


def train(base: Base, name: str) -> None:
    """Let the adapter called `name` answer, and it alone take gradients."""
    _train(base.model, name)


def detach(base: Base, name: str) -> None:
    """Take the adapter called `name` out of memory; the base alone answers."""
    activate(base, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft tells which adapter it makes active instead: none is
        for layer in _layers(base.model):
            layer.delete_adapter(key_of(name))
    base.model.peft_config.pop(key_of(name), None)


@contextmanager
def without(base: Base) -> Iterator[None]:
    """The base alone, for as long as the context lasts; then the trained adapter again."""
    for layer in _layers(base.model):
        layer.enable_adapters(False)
    try:
        yield
    finally:
        _train(base.model, TRAINED)


def state(causal_lm: Any, name: str = TRAINED) -> dict[str, Tensor]:
    """The adapter's parameters by the names they have in peft's files, without copying."""
    ending = f".{key_of(name)}.weight"
    return {
        PREFIX + path.removesuffix(ending) + ".weight": parameter
        for path, parameter in causal_lm.named_parameters()
        if path.endswith(ending) and ".lora_" in path
    }


def save(
    base: Base, spec: Spec, template: str, folder: Path, head: "RewardHead | None" = None
) -> None:
    """Write the trained adapter, and the head that makes it a reward model, to `folder`: whole or not at all."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in state(base.model).items()}
    packages = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")
    about = {
        "base": spec.base,
        "fingerprint": base.fingerprint,
        "precision": base.precision,
        "spec": spec.to_json(),
        "template": template,
        "versions": {name: version(name) for name in packages},
    }
    if head:
        about["reward"] = head.facts()
    with whole(folder, kept="The run's last checkpoint is safe.") as temporary:
        if head:
            save_file({"score": head.weight.detach().cpu()}, temporary / HEAD)
        save_file(tensors, temporary / WEIGHTS, metadata={"format": "pt"})
        for name, data in ((CONFIG, _config(base, spec.base)), (CARD, about)):
            text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False)
            (temporary / name).write_text(text, encoding="utf-8")


def hash_of(folder: Path) -> str:
    """SHA-256, in hex, of an adapter's weights, of the scale they are used with, and of its head if it has one."""
    shape, _ = read(folder)
    scale = [shape.rank, float(shape.alpha), shape.rslora, dict(shape.alphas)]
    head = sha256_of(folder / HEAD) if (folder / HEAD).is_file() else ""
    text = sha256_of(folder / WEIGHTS) + head + json.dumps(scale, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def card(folder: Path) -> dict[str, Any]:
    """What `save` noted beside the adapter: base, fingerprint, spec, template; {} for one of others."""
    try:
        data = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / CARD} is broken.", do="Delete it, or train the adapter again.") from error
    return data if isinstance(data, dict) else {}


def read(folder: Path) -> tuple[Shape, dict[str, Tensor]]:
    """An adapter's shape and tensors. Raises UserError when files are missing, broken or not LoRA's."""
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise UserError(f"There is no adapter in {folder}.", do=f"Name a folder with {CONFIG} and {WEIGHTS}.")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        tensors = load_file(folder / WEIGHTS)
        return _shape(config, tensors), tensors
    except (OSError, ValueError, TypeError, AttributeError, KeyError, SafetensorError) as error:
        raise UserError(
            f"The adapter in {folder} cannot be used: {error}",
            do="Train it again, or get another copy of its files.",
        ) from error


def _shape(config: dict[str, Any], tensors: Mapping[str, Tensor]) -> Shape:
    """The shape by the tensors' own shapes; of the configuration only numbers and refusals are taken."""
    if config.get("peft_type") != "LORA":
        raise ValueError(f"it is of type {config.get('peft_type')}, not LORA")
    for feature in ("use_dora", "modules_to_save", "trainable_token_indices", "lora_bias"):
        if config.get(feature):
            raise ValueError(f"it uses {feature}, which is not supported")
    if config.get("bias", "none") != "none":
        raise ValueError("it trains biases, which is not supported")
    ranks = {}
    for key, tensor in tensors.items():
        path = key.removeprefix(PREFIX).removesuffix(".lora_A.weight").removesuffix(".lora_B.weight")
        if path + ".lora_A.weight" != key.removeprefix(PREFIX) and not key.endswith(".lora_B.weight"):
            raise ValueError(f"{key} is no LoRA weight of a linear layer")
        if key.endswith(".lora_A.weight"):
            ranks[path] = int(tensor.shape[0])
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
    dropout = float(config.get("lora_dropout") or 0.0)
    return Shape(rank, alpha, dropout, bool(config.get("use_rslora")), ranks, alphas)


def _config(base: Base, name: str) -> dict[str, Any]:
    """adapter_config.json of the trained adapter, as peft writes it."""
    config = base.model.peft_config[TRAINED]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": name,
        "r": config.r,
        "lora_alpha": int(alpha) if float(alpha := config.lora_alpha).is_integer() else alpha,
        "lora_dropout": config.lora_dropout,
        "use_rslora": config.use_rslora,
        "bias": "none",
        "fan_in_fan_out": any(getattr(layer, "fan_in_fan_out", False) for layer in _layers(base.model)),
        "target_modules": sorted(config.target_modules),
        "rank_pattern": {path.lstrip("^"): rank for path, rank in config.rank_pattern.items()},
        "alpha_pattern": {path.lstrip("^"): alpha for path, alpha in config.alpha_pattern.items()},
        "inference_mode": True,
    }


def _inject(causal_lm: Any, config: LoraConfig, key: str) -> None:
    config._register_custom_module({nn.Linear: lora.layer})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft notes that GPT-2's layers are transposed, and handles it
        inject_adapter_in_model(config, causal_lm, key)
    for path, parameter in causal_lm.named_parameters():
        if ".lora_" in path:
            parameter.data = parameter.data.float()


def _train(causal_lm: Any, name: str) -> None:
    for layer in _layers(causal_lm):
        layer.set_adapter(key_of(name))
        layer.enable_adapters(True)
    causal_lm.requires_grad_(False)
    for parameter in state(causal_lm, name).values():
        parameter.requires_grad_(True)


def _layers(causal_lm: Any) -> list[Any]:
    return [module for module in causal_lm.modules() if isinstance(module, BaseTunerLayer)]


def key_of(name: str) -> str:
    """A name that peft accepts as part of a module's path: no dots."""
    return name if name == TRAINED else "a" + hashlib.sha256(name.encode()).hexdigest()[:16]
