"""Low-rank adapters as peft's layers: put into a model, found again, and written as peft writes them."""

import hashlib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import transformers_weight_conversion
from torch import Tensor, nn

from engine import lora, variants
from engine.adapter_files import MAGNITUDE, PREFIX, Shape
from engine.spec import Adapter

TRAINED = "trained"  # the name of the adapter that a run trains
PRINCIPAL = "principal"  # the name of what PiSSA takes off the base's weights
# Models whose fused kernels read the weights of these layers past the layers themselves: peft refuses them.
STATE_SPACE = {"falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h"}
OUT_OF_REACH = ["conv1d", "out_proj"]


def inject_fresh(causal_lm: Any, adapter: Adapter, key: str) -> LoraConfig:
    """Put a new adapter, called `key` there, on every linear layer within reach but the head.

    Returns peft's settings.
    """
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        lora_dropout=adapter.dropout,
        use_rslora=adapter.kind == "rslora",
        use_dora=adapter.kind == "dora",
        target_modules="all-linear",
        exclude_modules=OUT_OF_REACH if causal_lm.config.model_type in STATE_SPACE else None,
        task_type="CAUSAL_LM",
    )
    inject(causal_lm, config, key)
    return config


def inject_shape(causal_lm: Any, shape: Shape, key: str) -> None:
    """Put an adapter of this shape on the layers that it names, called `key` there."""
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        use_rslora=shape.rslora,
        use_dora=shape.kind == "dora",
        target_modules=list(shape.ranks),
        rank_pattern={f"^{path}": rank for path, rank in shape.ranks.items() if rank != shape.rank},
        alpha_pattern={f"^{path}": alpha for path, alpha in shape.alphas.items()},
        task_type="CAUSAL_LM",
    )
    inject(causal_lm, config, key)


def inject(causal_lm: Any, config: LoraConfig, key: str) -> None:
    """Put peft's layers with an adapter called `key` in place, in float32."""
    config._register_custom_module({nn.Linear: lora.layer})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft notes that GPT-2's layers are transposed, and handles it
        with _names_as_they_are():
            inject_adapter_in_model(config, causal_lm, key)
    for layer in layers(causal_lm):
        layer.eval()  # what peft has just made would drop out, also in chat
    for path, parameter in causal_lm.named_parameters():
        if ".lora_" in path:
            parameter.data = parameter.data.float()
            parameter.requires_grad_(False)
    if config.use_dora:
        variants.use_exact_magnitudes(layers(causal_lm, key), key)


@contextmanager
def _names_as_they_are() -> Iterator[None]:
    """Keep peft from taking names of layers for those of transformers 4, in models that mix experts.

    It would adapt the fused experts in their place, and what is trained so cannot be put back beside another.
    """
    real = transformers_weight_conversion.convert_peft_config_for_transformers
    transformers_weight_conversion.convert_peft_config_for_transformers = lambda *_, **__: None
    try:
        yield
    finally:
        transformers_weight_conversion.convert_peft_config_for_transformers = real


def has_fused_experts(causal_lm: Any) -> bool:
    """Whether the model mixes experts whose weights are no linear layers: no adapter is put on them."""
    return any(
        ".experts." in path and parameter.dim() == 3 for path, parameter in causal_lm.named_parameters()
    )


def layers(causal_lm: Any, key: str = "") -> list[Any]:
    """The model's layers that are peft's: all, or those that have an adapter called `key`."""
    found = [module for module in causal_lm.modules() if isinstance(module, BaseTunerLayer)]
    return [layer for layer in found if not key or key in layer.lora_A]


def parameters(causal_lm: Any, key: str) -> dict[str, nn.Parameter]:
    """The parameters of the adapter called `key` by the names they have in peft's files."""
    found: dict[str, nn.Parameter] = {}
    ending = f".{key}.weight"
    for path, parameter in causal_lm.named_parameters():
        if path.endswith(ending) and ".lora_" in path:
            stem = path.removesuffix(ending)
            found[PREFIX + stem + ("" if stem.endswith(MAGNITUDE) else ".weight")] = parameter
    return found


def halves(shape: Shape, tensors: Mapping[str, Tensor]) -> tuple[Shape, dict[str, Tensor], dict[str, Tensor]]:
    """PiSSA's [A; A₀] and [B, −B₀] apart: the shape of either, the trained and the principal tensors."""
    pairs = {
        key: value.chunk(2, 0 if key.endswith(".lora_A.weight") else 1) for key, value in tensors.items()
    }
    ranks = {path: rank // 2 for path, rank in shape.ranks.items()}
    half = replace(shape, rank=shape.rank // 2, alpha=shape.alpha / 2, ranks=ranks)
    return half, {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}


def joined(trained: Mapping[str, Tensor], principal: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `halves`: the tensors of the plain LoRA of twice the rank."""
    return {
        key: torch.cat([value, principal[key]], dim=0 if key.endswith(".lora_A.weight") else 1)
        for key, value in trained.items()
    }


def to_json(causal_lm: Any, key: str, kind: str, base: str) -> dict[str, Any]:
    """adapter_config.json of the adapter called `key`, as peft writes it."""
    config = causal_lm.peft_config[key]
    times = 2 if kind == "pissa" else 1
    alpha = times * config.lora_alpha
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": times * config.r,
        "lora_alpha": int(alpha) if float(alpha).is_integer() else alpha,
        "lora_dropout": config.lora_dropout,
        "use_rslora": config.use_rslora,
        "use_dora": config.use_dora,
        "bias": "none",
        "fan_in_fan_out": any(getattr(layer, "fan_in_fan_out", False) for layer in layers(causal_lm)),
        "target_modules": sorted(config.target_modules),
        "rank_pattern": {path.lstrip("^"): rank for path, rank in config.rank_pattern.items()},
        "alpha_pattern": {path.lstrip("^"): alpha for path, alpha in config.alpha_pattern.items()},
        "inference_mode": True,
    }


def key_of(name: str) -> str:
    """A name that peft accepts as part of a module's path: no dots."""
    return name if name in (TRAINED, PRINCIPAL) else "a" + hashlib.sha256(name.encode()).hexdigest()[:16]
