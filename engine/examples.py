"""What a model learns from: plain data, no torch.

Three kinds of example, named as the field names them: a demonstration (SFT), a pair (reward modelling,
DPO) and a rated reply (KTO); what is asked in any of them is a prompt (PPO). Each has a canonical JSON form
whose SHA-256 is its identity.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Demonstration:
    """A conversation whose assistant turns are to be imitated; the last message is the assistant's."""

    messages: tuple[Message, ...]
    tools: str = ""  # JSON of the tools offered to the model, as the template takes it; "" for none


@dataclass(frozen=True)
class Pair:
    """Two replies to one prompt, the first preferred; `margin` is how much, where a source says so.

    The prompt is a conversation that the assistant is to continue; it may be empty.
    """

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    margin: float | None = None


@dataclass(frozen=True)
class Rated:
    """One reply to a prompt with a thumb up (`good`) or down."""

    prompt: tuple[Message, ...]
    reply: str
    good: bool


@dataclass(frozen=True)
class Prompt:
    """A conversation that the assistant is to continue, with nothing said of how."""

    prompt: tuple[Message, ...]
    tools: str = ""  # as a demonstration's


Example = Demonstration | Pair | Rated | Prompt
KINDS: dict[str, type[Example]] = {
    "demonstration": Demonstration,
    "pair": Pair,
    "rated": Rated,
    "prompt": Prompt,
}


def name_of(cls: type) -> str:
    """The name under which `KINDS` lists a class of example."""
    return next(name for name, listed in KINDS.items() if listed is cls)


def kind_of(example: Example) -> str:
    """The name under which `KINDS` lists the example's class."""
    return name_of(type(example))


def prompt_of(example: Example) -> Prompt:
    """What the assistant was asked: a demonstration's turns before its last reply, or the prompt."""
    if isinstance(example, Demonstration):
        return Prompt(example.messages[:-1], example.tools)
    return example if isinstance(example, Prompt) else Prompt(example.prompt)


def to_json(example: Example) -> dict[str, Any]:
    """A JSON object with `kind` and the example's fields; unset optional fields are left out."""
    data: dict[str, Any] = {"kind": kind_of(example)}
    for name, value in vars(example).items():
        if isinstance(value, tuple):
            data[name] = [{"role": message.role, "content": message.content} for message in value]
        elif (value is not None and value != "") or name in ("chosen", "rejected", "reply"):
            data[name] = value
    return data


def from_json(data: dict[str, Any]) -> Example:
    """The inverse of `to_json`."""
    fields = {name: value for name, value in data.items() if name != "kind"}
    for name in ("messages", "prompt"):
        if name in fields:
            fields[name] = messages_from_json(fields[name])
    return KINDS[data["kind"]](**fields)


def messages_from_json(data: Iterable[dict[str, str]]) -> tuple[Message, ...]:
    """Messages from `[{"role": …, "content": …}, …]`."""
    return tuple(Message(role=entry["role"], content=entry["content"]) for entry in data)  # type: ignore[arg-type]


def canonical(data: Any) -> str:
    """JSON with sorted keys, no spaces and no escapes beyond JSON's own: one text per value.

    Lone surrogates, which JSON can carry and UTF-8 cannot, stay escaped.
    """
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text


def digest(data: Any) -> str:
    """SHA-256, in hex, of the canonical JSON of `data`."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()
