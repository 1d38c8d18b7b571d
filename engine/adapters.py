"""Adapters in memory: added, continued, saved, and several by name on one base, of five kinds.

    lora    W + s B A, s = alpha / r; A random, B zero                        arXiv:2106.09685
    rslora  the same with s = alpha / √r                                      arXiv:2312.03732
    dora    m (W + s B A) / ‖W + s B A‖, the norm by output and a constant    arXiv:2402.09353
    pissa   W + s (B A − B₀ A₀) from A, B = A₀, B₀, W's largest singular vectors  arXiv:2404.02948
    full    the base's own weights, all of them

The first four are peft's layers put in place inside the transformers model, and work on a 4-bit base too; a
full one takes the place of the base's weights. What is trained is always float32, whatever the base's
precision: in bf16, 0.01 − 1e-5 is 0.01, and at DPO's learning rate nothing would move.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine import adapter_files, base_files, full, low_rank, merging, models, variants
from engine.adapter_files import CONFIG as CONFIG
from engine.adapter_files import HEAD as HEAD
from engine.adapter_files import WEIGHTS as WEIGHTS
from engine.adapter_files import Shape
from engine.adapter_files import hash_of as hash_of
from engine.adapter_files import read as read
from engine.attached import BASE, Attached, trains_base
from engine.attached import activate as activate
from engine.attached import learning as learning
from engine.attached import state as state
from engine.attached import stop_dropout as stop_dropout
from engine.attached import train as train
from engine.attached import using as using
from engine.cards import CARD as CARD
from engine.cards import card as card
from engine.errors import UserError
from engine.low_rank import PRINCIPAL
from engine.low_rank import TRAINED as TRAINED
from engine.models import Base
from engine.spec import Adapter, Spec, refuse_full_over_four_bits, refuse_sharded_kind

if TYPE_CHECKING:
    from engine.heads import RewardHead

START = "start"  # the name of the adapter that a run goes on from, once that is asked for
PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate")  # whose versions are noted


def add(base: Base, adapter: Adapter, seed: int) -> None:
    """Put a fresh adapter on the base, ready to train: on every linear layer but the head, or all of it.

    Raises UserError when the base is 4-bit and the adapter a full one, when it is cut up and the adapter is
    no plain low-rank one, or PiSSA's rank too high.
    """
    _refuse(base, adapter.kind)
    torch.manual_seed(seed)
    if adapter.kind == "full":
        _add_full(base, None, None)
        return
    config = low_rank.inject_fresh(base.model, adapter, TRAINED)
    trained = base.attached[TRAINED] = _low_rank(base, adapter.kind, TRAINED)
    if adapter.kind == "pissa":
        low_rank.inject(base.model, replace(config, lora_dropout=0.0), PRINCIPAL)
        variants.split_off_principal(trained.layers, TRAINED, PRINCIPAL)
        trained.keys.append(PRINCIPAL)
    if base.precision == "nf4":
        models.upcast_norms(base.model)
    train(base)


def resume(base: Base, folder: Path) -> Adapter:
    """Put the adapter in `folder` on the base, ready to be trained on; says what it is.

    One in half precision is read as float32. Raises UserError as `attach` does.
    """
    shape, tensors = _read_for(base, folder)
    if shape.kind == "full":
        _fit(base, folder, full.own(base.model), tensors)
        _add_full(base, tensors, folder)
        return Adapter(kind="full")
    if shape.kind == "pissa":
        shape, tensors, principal = low_rank.halves(shape, tensors)
        _attach_low_rank(base, PRINCIPAL, folder, replace(shape, dropout=0.0), principal)
    _attach_low_rank(base, TRAINED, folder, shape, tensors)
    trained = base.attached[TRAINED]
    trained.start = folder
    if base.precision == "nf4":
        models.upcast_norms(base.model)
    if shape.kind == "pissa":
        trained.keys += base.attached.pop(PRINCIPAL).keys
    train(base)
    alpha = int(shape.alpha) if shape.alpha.is_integer() else shape.alpha
    return Adapter(shape.kind, shape.rank, alpha, shape.dropout)  # type: ignore[arg-type]


def attach(base: Base, name: str, folder: Path, *, to_train: bool = False) -> None:
    """Load the adapter in `folder` under `name`, inactive; the base alone answers.

    A full one takes as much memory as the base, in its precision, or in float32 if it is `to_train`. Raises
    UserError when it is missing, broken, of a kind that is not known, made for another base, or a full one
    and the base 4-bit.
    """
    _attach(base, name, folder, to_train)
    activate(base, None)


def detach(base: Base, name: str) -> None:
    """Take the adapter called `name` out of memory; the base alone answers."""
    activate(base, None)
    attached = base.attached.pop(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft tells which adapter it makes active instead: none is
        for key in attached.keys:
            for layer in attached.layers:
                layer.delete_adapter(key)
            base.model.peft_config.pop(key, None)


@contextmanager
def without(base: Base) -> Iterator[None]:
    """The weights that the run started from, while the context lasts: the base's, or its parent adapter's.

    They are exact. The base's weights below a full fine-tuning, and the adapter gone on from, are read from
    disk the first time and kept from then on, in the precision of what is trained.
    """
    start = base.attached[TRAINED].start
    if start and START not in base.attached:
        _attach(base, START, start, to_train=True)
    with using(base, START if start else None):
        yield


def merged(base: Base, into: Any | None = None) -> Any:
    """A model of its own, frozen, with the trained adapter merged in: for rollouts.

    Its precision is the base's (bf16 or float32; of a 4-bit base, what it computes in): weights are
    dequantized, added to in float32 and rounded once, and no autocast is needed. It costs the memory of the
    linear layers in that precision, what the adapter leaves alone is shared. `into`, what an earlier call
    returned, is brought up to date in place: one product B A and one copy per layer. A full fine-tuning in
    float32 has nothing to merge: the model itself is returned, for use without gradients.
    """
    trained = base.attached[TRAINED]
    if trained.kind == "full" and base.dtype == torch.float32:
        return base.model
    train(base)
    model = merging.twin(base.model, base.dtype) if into is None else into
    if trained.kind != "full":
        merging.fill(model, base.model, trained.keys)
        return model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(trained.parameters[name])
    return model


def save(base: Base, spec: Spec, template: str, folder: Path, head: "RewardHead | None" = None) -> None:
    """Write the trained adapter, and the head that makes it a reward model, to `folder`: all or nothing."""
    trained = base.attached[TRAINED]
    tensors = state(base)
    if trained.kind == "pissa":
        tensors = low_rank.joined(tensors, low_rank.parameters(base.model, PRINCIPAL))
    about = {
        "kind": trained.kind,
        "base": spec.base,
        "fingerprint": base.fingerprint,
        "precision": base.precision,
        "spec": spec.to_json(),
        "template": template,
        "tokenizer": base_files.tokenizer_hash(base.tokenizer),
        "versions": {name: version(name) for name in PACKAGES},
    }
    if head:
        about["reward"] = head.facts()
    config = (
        None if trained.kind == "full" else low_rank.to_json(base.model, TRAINED, trained.kind, spec.base)
    )
    heads = {"score": head.weight} if head else None
    adapter_files.write(folder, tensors, config, about, heads)


def _attach(base: Base, name: str, folder: Path, to_train: bool) -> None:
    shape, tensors = _read_for(base, folder)
    if shape.kind != "full":
        _attach_low_rank(base, name, folder, shape, tensors)
        return
    own = full.own(base.model)
    _fit(base, folder, own, tensors)
    where = full.slots(base.model)
    if BASE not in base.attached and not trains_base(base):
        base.attached[BASE] = Attached("full", own, slots=where)
    weights = full.frozen(tensors, own, torch.float32 if to_train else None)
    base.attached[name] = Attached("full", weights, slots=where)


def _low_rank(base: Base, kind: str, key: str) -> Attached:
    parameters = low_rank.parameters(base.model, key)
    return Attached(kind, parameters, [key], low_rank.layers(base.model, key))


def _attach_low_rank(
    base: Base, name: str, folder: Path, shape: Shape, tensors: Mapping[str, Tensor]
) -> None:
    modules = dict(base.model.named_modules())
    strangers = [path for path in shape.ranks if not isinstance(modules.get(path), nn.Module)]
    if strangers:
        raise UserError(
            f"The adapter in {folder} does not fit {base.name}: it adapts {strangers[0]}, which it lacks.",
            do="Load the base it was trained on.",
        )
    low_rank.inject_shape(base.model, shape, low_rank.key_of(name))
    base.attached[name] = _low_rank(base, shape.kind, low_rank.key_of(name))
    parameters = state(base, name)
    try:
        _fit(base, folder, parameters, tensors)
    except UserError:
        detach(base, name)
        raise
    with torch.no_grad():
        for key, parameter in parameters.items():
            parameter.copy_(tensors[key])


def _read_for(base: Base, folder: Path) -> tuple[Shape, dict[str, Tensor]]:
    """The files in `folder`, once it is clear that they were made for this base."""
    shape, tensors = read(folder)
    made_for = card(folder).get("fingerprint", base.fingerprint)
    if made_for != base.fingerprint:
        raise UserError(
            f"The adapter in {folder} was trained on another base than {base.name}.",
            do=f"Load {card(folder).get('base') or 'the base it was trained on'} instead.",
        )
    _refuse(base, shape.kind)
    return shape, tensors


def _refuse(base: Base, kind: str) -> None:
    """Raise UserError when an adapter of this kind cannot be put on a base as this one was loaded."""
    refuse_full_over_four_bits(kind, base.precision)
    if base.shards:
        refuse_sharded_kind(kind)


def _fit(base: Base, folder: Path, wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    if {k: v.shape for k, v in wanted.items()} != {k: v.shape for k, v in tensors.items()}:
        raise UserError(
            f"The adapter in {folder} does not fit {base.name}: its tensors have other names or shapes.",
            do="Load the base it was trained on.",
        )


def _add_full(base: Base, tensors: Mapping[str, Tensor] | None, start: Path | None) -> None:
    own = full.own(base.model)
    weights = full.frozen(tensors or own, own, torch.float32)
    base.attached[TRAINED] = Attached("full", weights, slots=full.slots(base.model), start=start)
    train(base)
