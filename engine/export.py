"""A trained model for other programs: the adapter merged into its base's weights, as safetensors."""

import shutil
from pathlib import Path

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from engine import adapters, base_files, models
from engine.cards import card
from engine.disk import whole
from engine.errors import UserError
from engine.merging import merged_weight
from engine.template import template_for

LICENCES = ("LICENSE*", "LICENCE*", "NOTICE*", "README.md")


def merge(base: str, adapter: Path, target: Path) -> None:
    """Write to the new folder `target` the base with the adapter merged in, its tokenizer and its template.

    Weights are added to in float32 and rounded once, to the type that the base is stored in. Needs the
    memory of the base in that type (float32 for types other than bfloat16). Raises UserError as loading
    does, for a reward model, and when `target` is there already or cannot be written.
    """
    if target.exists():
        raise UserError(f"{target} exists already.", kept="It was left as it is.", do="Choose a new folder.")
    if card(adapter).get("reward"):
        raise UserError("A reward model has no answers to give: there is nothing to merge.")
    config = base_files.read_config(base_files.locate(base))
    stored = getattr(config, "dtype", None) or torch.float32
    loaded = models.load(base, "bf16" if stored == torch.bfloat16 else "fp32", "cpu")
    adapters.attach(loaded, "merged", adapter)
    adapters.activate(loaded, "merged")
    keys = loaded.attached["merged"].keys
    with torch.no_grad():
        for path, layer in [*loaded.model.named_modules()]:
            if isinstance(layer, BaseTunerLayer):
                plain = layer.get_base_layer()
                plain.weight = nn.Parameter(merged_weight(layer, keys).to(plain.weight.dtype), False)
                loaded.model.set_submodule(path, plain)
    if hasattr(loaded.model, "peft_config"):
        del loaded.model.peft_config
    model = loaded.model.to(stored)
    if template := card(adapter).get("template"):
        loaded.tokenizer.chat_template = template
    elif not loaded.tokenizer.chat_template:
        loaded.tokenizer.chat_template = template_for(loaded.tokenizer, None).text
    with whole(target, kept="The adapter is as it was.", again="do it again") as temporary:
        model.save_pretrained(temporary)
        loaded.tokenizer.save_pretrained(temporary)
        for pattern in LICENCES:
            for file in loaded.folder.glob(pattern):
                shutil.copy(file, temporary / file.name)
