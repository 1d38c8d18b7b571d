"""What a run is, as plain data: the specification, its events, and the list of methods. No torch.

Interfaces import this module to build forms and to launch runs; the engine imports it to carry them out.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from engine import examples
from engine.errors import UserError

if TYPE_CHECKING:
    from engine.batches import Tree
    from engine.job import Job, Outcome

Precision = Literal["auto", "fp32", "bf16", "nf4"]
PRECISIONS: dict[str, str] = {
    "auto": "bf16 on a GPU, fp32 on a CPU",
    "fp32": "32-bit weights: exact, four times the memory of bf16's products on a CPU",
    "bf16": "16-bit weights: half the memory, faster where the processor has it",
    "nf4": "4-bit weights (QLoRA, double quantization): a quarter of bf16's memory, slower on a CPU",
}


ADAPTER_KINDS: dict[str, str] = {
    "lora": "LoRA (arXiv:2106.09685): a low-rank update beside frozen weights",
    "rslora": "rank-stabilised LoRA (arXiv:2312.03732): scaled by alpha / √rank, for high ranks",
    "dora": "DoRA (arXiv:2402.09353): LoRA that trains each output's magnitude apart; slower",
    "pissa": "PiSSA (arXiv:2404.02948): LoRA that starts as the weights' largest singular vectors",
    "full": "full fine-tuning: every weight of the base, in fp32; 16 bytes of memory a weight",
}


@dataclass(frozen=True)
class Adapter:
    """What is trained: a low-rank update on every linear layer but the head, or the whole base ("full").

    A full one has no rank, alpha or dropout: they count for nothing.
    """

    kind: str = field(
        default="lora",
        metadata={"help": "what is trained", "choices": ADAPTER_KINDS, "common": True},
    )
    rank: int = field(default=16, metadata={"help": "rank r of the update B·A", "common": True, "min": 1})
    alpha: int = field(default=32, metadata={"help": "the update is scaled by alpha / rank", "min": 1})
    dropout: float = field(default=0.0, metadata={"help": "dropout on the adapter's input"})

    def __str__(self) -> str:
        if self.kind == "full":
            return ADAPTER_KINDS["full"].partition(":")[0]
        return f"{self.kind}, rank {self.rank}, alpha {self.alpha}, dropout {self.dropout:g}"


def refuse_full_over_four_bits(kind: str, precision: str) -> None:
    """Raise UserError where an adapter of this kind is a full one and the base's precision 4-bit."""
    if kind == "full" and precision == "nf4":
        raise UserError(
            "The weights of a 4-bit base cannot be trained or replaced: a step is less than their rounding.",
            do="Load the base as bf16 or fp32 for full fine-tuning, or train a LoRA on the 4-bit one.",
        )


def refuse_sharded_kind(kind: str) -> None:
    """Raise UserError where an adapter of this kind cannot be put on a base that is cut up."""
    if kind not in ("lora", "rslora"):
        raise UserError(
            f"A base that is cut up among processes takes lora and rslora: {kind} reads all weights at once.",
            do="Choose one of these, or start it without --shard.",
        )


@dataclass(frozen=True)
class Spec:
    """One run, without its data.

    `base` is a folder or a hub name; `parent` the folder of an adapter to go on from; `options` the
    values that differ from the method's defaults; `template` a Jinja chat template that replaces the
    tokenizer's own (None keeps it); `reward` the folder of the reward model, which PPO needs and no
    other method takes.
    """

    method: str
    base: str
    parent: str | None = None
    adapter: Adapter = field(default_factory=Adapter)
    precision: Precision = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    seed: int = 0
    reward: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return asdict(self) | {"options": dict(self.options)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Spec":
        """The inverse of `to_json`."""
        return Spec(**{**data, "adapter": Adapter(**data["adapter"])})


T = TypeVar("T")

EventKind = Literal[
    "loading",
    "data",
    "attention",
    "plan",
    "reference",
    "step",
    "checkpoint",
    "evaluation",
    "note",
    "warning",
    "done",
]


@dataclass(frozen=True)
class Event:
    """Something that a run reports.

    `data` is JSON. By kind:
    loading     {"what": str}
    data        {"rows", "used", "too_long", "no_label", "no_end", "repeated", "contradictory": int,
                 "classes": {name: int}, "max_length", "trained_tokens": int}
    attention   {"layout", "kernel": str}                 how rows are laid out, `engine.kernels`' name for it
    plan        {"steps", "epochs", "trainable", "parameters": int, "precision", "device": str}
    reference   {"done", "total", "cached": int}                         rows with reference log-probs
    step        {"step", "steps": int, "loss", "learning_rate", "grad_norm", "seconds": float, "tokens": int,
                 "metrics": {name: float}}
    checkpoint  {"step": int, "folder": str}
    evaluation  {"what": str, "accuracy", "low", "high": float, "pairs", "prompts": int}  on rows held out
    note        {"message": str}                                         worth knowing, no cause for alarm
    warning     {"message": str} and, when memory ran out, {"micro_tokens": int, "checkpointing": bool}
    done        {"step": int, "folder": str, "hash": str, "stopped": "" | "stop" | "pause"}
    """

    kind: EventKind
    data: dict[str, Any]


Emit = Callable[[Event], None]
ShouldStop = Callable[[], Literal["", "stop", "pause"]]
Gold = Callable[[Sequence[examples.Message], str], float]  # how good a reply to a prompt is, from 0 to 1


class ReferenceCache(Protocol):
    """Reference log-probs kept between runs; keys are opaque bytes, values sums of token log-probs."""

    def get_many(self, keys: list[bytes]) -> dict[bytes, float]:
        """The values that are known among `keys`."""
        ...

    def put_many(self, values: Mapping[bytes, float]) -> None:
        """Keep `values`."""
        ...


@dataclass(frozen=True)
class Method:
    """A training method: one file in `engine/methods`.

    `learns_from` is a class of `engine.examples`; `options` a frozen dataclass whose fields carry
    `metadata={"help": …}` and, where they have them, `"choices"` or `"min"` and `"max"`. A reward model
    scores replies and writes none. `references` gives, of a run's rows, all that the run takes log-probs of
    under the weights that it starts from: a tree for each row. `refuse` raises UserError for what can be
    told to fail from the specification and the files that it names, before anything is loaded. `held`
    micro-batches at most have their graphs in memory at once.
    """

    name: str
    title: str
    learns_from: type[examples.Example]
    options: type[Any]
    train: Callable[["Job"], "Outcome"]
    paper: str
    makes: Literal["policy", "reward model"] = "policy"
    references: "Callable[[Job, Sequence[Tree]], Sequence[Tree]] | None" = None
    refuse: Callable[[Spec], None] | None = None
    held: int = 1

    @property
    def kind(self) -> str:
        """The name of `learns_from` in `examples.KINDS`."""
        return examples.name_of(self.learns_from)

    @property
    def needs_reward(self) -> bool:
        """Whether a reward model has to say what is good, because prompts alone do not."""
        return self.learns_from is examples.Prompt


@cache
def methods() -> dict[str, Method]:
    """Every method by name: the files of `engine/methods`, which import no torch until they train."""
    import engine.methods

    found = {}
    for module in pkgutil.iter_modules(engine.methods.__path__, "engine.methods."):
        method: Method = importlib.import_module(module.name).METHOD
        found[method.name] = method
    return dict(sorted(found.items()))


def method_named(name: str) -> Method:
    """The method called `name`; a UserError lists the names that exist."""
    try:
        return methods()[name]
    except KeyError:
        raise UserError(
            f"There is no training method “{name}”.", do=f"Choose one of: {', '.join(methods())}."
        ) from None


def refuse_sharded(method: Method) -> None:
    """Raise UserError where the method cannot train over a base that is cut up among processes."""
    if method.needs_reward:
        raise UserError(
            f"{method.title} draws its replies from a whole copy of the base, with the adapter merged in: "
            "the base cannot be cut up among processes.",
            do="Start it without --shard.",
        )


def refuse_unready(spec: Spec) -> None:
    """Raise UserError for what can be told to fail before the base is loaded."""
    method = method_named(spec.method)
    options_from(method, spec.options)
    if method.refuse:
        method.refuse(spec)


def options_from(method: Method, values: Mapping[str, Any]) -> Any:
    """The method's `Options` with `values` (numbers, booleans or their text) put in and checked."""
    return build(method.options, values, f"{method.name} option")


def build(cls: type[T], values: Mapping[str, Any], what: str) -> T:
    """A dataclass of simple fields from a mapping, each value checked against type, choices and range."""
    assert is_dataclass(cls)
    known = {f.name: f for f in fields(cls)}
    for name in values:
        if name not in known:
            raise UserError(f"Unknown {what} “{name}”.", do=f"Choose among: {', '.join(known)}.")
    return cls(**{name: _checked(known[name], value, what) for name, value in values.items()})


def _checked(option: Any, value: Any, what: str) -> Any:
    kind = option.type if isinstance(option.type, type) else type(option.default)
    if option.default is MISSING and not isinstance(option.type, type):
        raise TypeError(f"{option.name} needs a simple type")
    try:
        parsed = _parse(kind, value)
    except ValueError:
        raise UserError(f"The {what} “{option.name}” takes {_NAMES[kind]}, not “{value}”.") from None
    choices, low, high = (option.metadata.get(key) for key in ("choices", "min", "max"))
    if choices and parsed not in choices:
        raise UserError(f"The {what} “{option.name}” is one of {', '.join(choices)}, not “{value}”.")
    if (low is not None and parsed < low) or (high is not None and parsed > high):
        raise UserError(
            f"The {what} “{option.name}” is {value}: out of range.",
            do=f"Give a value {_range(low, high)}.",
        )
    return parsed


_NAMES = {bool: "yes or no", int: "a whole number", float: "a number", str: "a word"}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def _parse(kind: type, value: Any) -> Any:
    if kind is bool:
        text = str(value).lower()
        if text not in _YES + _NO:
            raise ValueError
        return text in _YES
    number = kind(str(value))  # through text, so that 5.5 is no whole number
    if kind is float and (number != number or number in (float("inf"), float("-inf"))):
        raise ValueError
    return number


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"of at most {high}"
    return f"of at least {low}" if high is None else f"from {low} to {high}"
