"""The wire format of OpenAI's chat completions: requests checked, answers and errors shaped."""

import json
import math
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.answers import Delta
from engine.examples import Message
from engine.sampling import Sampling

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
# What would change the answer if we heeded it, with the value that changes nothing.
UNSUPPORTED: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "top_logprobs": 0,
    "tools": [],
    "functions": [],
    "response_format": {"type": "text"},
}
MOST_ANSWERS = 64
MOST_BEAMS = 16
MOST_STOPS = 16


class ApiError(Exception):
    """An error as an OpenAI client reads it."""

    def __init__(self, status: int, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class ChatRequest:
    """A chat completion that is asked for; `usage` wants token counts at the end of a stream."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    stream: bool
    usage: bool


def parse(raw: bytes) -> ChatRequest:
    """The request in `raw`; an ApiError of status 400 names the field at fault."""
    body = _Fields(_json(raw))
    for name, neutral in UNSUPPORTED.items():
        if body.values.get(name) not in (None, neutral):
            raise ApiError(400, f"“{name}” is not supported.", param=name, code="unsupported_parameter")
    return ChatRequest(
        model=body.text("model"),
        messages=_messages(body.values.get("messages")),
        sampling=_sampling(body),
        stream=body.flag("stream"),
        usage=_Fields(body.values.get("stream_options") or {}, "stream_options.").flag("include_usage"),
    )


def parse_conversation(raw: bytes) -> tuple[str, tuple[Message, ...]]:
    """The model and the messages of a request to count tokens."""
    body = _Fields(_json(raw))
    return body.text("model"), _messages(body.values.get("messages"))


def _json(raw: bytes) -> Any:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        return json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON: {error}", code="invalid_json") from None


def _sampling(body: "_Fields") -> Sampling:
    beams = body.whole("beams", 1, MOST_BEAMS) or 1
    n = body.whole("n", 1, MOST_ANSWERS) or 1
    if 1 < beams < n:
        raise _wrong("n", f"is at most the number of beams, {beams}")
    limit = "max_completion_tokens" if body.values.get("max_completion_tokens") is not None else "max_tokens"
    return Sampling(
        n=n,
        temperature=body.number("temperature", 0, 100, 1.0),
        top_k=body.whole("top_k", 0) or 0,
        top_p=body.number("top_p", 0, 1, 1.0),
        min_p=body.number("min_p", 0, 1, 0.0),
        repetition_penalty=body.number("repetition_penalty", 0.01, 100, 1.0),
        beams=beams,
        max_tokens=body.whole(limit, 1),
        stop=body.texts("stop"),
        seed=body.whole("seed"),
    )


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise _wrong("messages", "is a list of at least one message")
    found = []
    for at, entry in enumerate(value):
        message = _Fields(entry, f"messages.{at}.")
        role = message.text("role")
        if role not in ROLES:
            raise _wrong(f"messages.{at}.role", f"is one of {', '.join(ROLES)}")
        if message.values.get("tool_calls"):
            raise ApiError(
                400,
                "Tool calls are not supported.",
                param=f"messages.{at}.tool_calls",
                code="unsupported_parameter",
            )
        found.append(Message(ROLES[role], _content(message)))  # type: ignore[arg-type]
    return tuple(found)


def _content(message: "_Fields") -> str:
    content = message.values.get("content")
    if not isinstance(content, list):
        return message.text("content")
    parts = [_Fields(part, f"{message.path}content.{at}.") for at, part in enumerate(content)]
    for part in parts:
        if part.text("type") != "text":
            raise _wrong(f"{part.path}type", "is text: this server reads nothing else")
    return "".join(part.text("text") for part in parts)


class _Fields:
    """A JSON object whose fields are read with a check; an absent or null field has its default."""

    def __init__(self, values: Any, path: str = "") -> None:
        if not isinstance(values, dict):
            raise _wrong(path.rstrip(".") or "body", "is a JSON object")
        self.values = values
        self.path = path

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str):
            raise _wrong(self.path + name, "is a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name)
        several = [] if value is None else [value] if isinstance(value, str) else value
        if not (isinstance(several, list) and all(isinstance(text, str) and text for text in several)):
            raise _wrong(self.path + name, "is a text or a list of texts, none of them empty")
        if len(several) > MOST_STOPS:
            raise _wrong(self.path + name, f"has at most {MOST_STOPS} texts")
        return tuple(several)

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if value is not None and not isinstance(value, bool):
            raise _wrong(self.path + name, "is true or false")
        return bool(value)

    def whole(self, name: str, low: float = -math.inf, high: float = math.inf) -> int | None:
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(self.path + name, f"is a whole number{_range(low, high)}")
        return value

    def number(self, name: str, low: float, high: float, default: float) -> float:
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _wrong(self.path + name, f"is a number{_range(low, high)}")
        return float(value)


def _range(low: float, high: float) -> str:
    if high < math.inf:
        return f" from {low} to {high}"
    return f" of at least {low}" if low > -math.inf else ""


def _wrong(param: str, rule: str) -> ApiError:
    return ApiError(400, f"“{param}” {rule}.", param=param, code="invalid_value")


@dataclass
class Reply:
    """The answers to one request as they grow, and their JSON, whole or in chunks."""

    model: str
    n: int
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    prompt_tokens: int = 0

    def __post_init__(self) -> None:
        self.texts = [""] * self.n
        self.finishes = [""] * self.n
        self.tokens = [0] * self.n

    def add(self, deltas: Iterable[Delta]) -> None:
        """Put each delta's text to its answer."""
        for delta in deltas:
            self.texts[delta.index] += delta.text
            self.finishes[delta.index] = delta.finish
            self.tokens[delta.index] = delta.tokens

    def whole(self) -> dict[str, Any]:
        """The response that is not streamed."""
        choices = [
            {
                "index": index,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish,
                "logprobs": None,
            }
            for index, (text, finish) in enumerate(zip(self.texts, self.finishes, strict=True))
        ]
        return self._shape("chat.completion", choices) | {"usage": self._usage()}

    def opening(self) -> Iterable[bytes]:
        """The chunks that say whose turn it is."""
        for index in range(self.n):
            yield self._chunk([self._choice(index, {"role": "assistant", "content": ""})])

    def chunks(self, deltas: Iterable[Delta]) -> bytes:
        """Pieces of the answers."""
        return b"".join(
            self._chunk([self._choice(d.index, {"content": d.text} if d.text else {}, d.finish or None)])
            for d in deltas
        )

    def closing(self, usage: bool) -> Iterable[bytes]:
        """Token counts if they are wanted, and the end of the stream."""
        if usage:
            yield event(self._shape("chat.completion.chunk", []) | {"usage": self._usage()})
        yield b"data: [DONE]\n\n"

    def _usage(self) -> dict[str, int]:
        done = sum(self.tokens)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": done,
            "total_tokens": self.prompt_tokens + done,
        }

    def _choice(self, index: int, delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": finish, "logprobs": None}

    def _chunk(self, choices: list[dict[str, Any]]) -> bytes:
        return event(self._shape("chat.completion.chunk", choices))

    def _shape(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
