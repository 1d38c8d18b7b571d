"""The interfaces' client of the chat worker, or of any OpenAI-compatible server. No torch."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from engine.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PATIENCE = httpx.Timeout(10, read=600)  # a long prompt on a slow machine, and its turn to wait for
# Extensions that other servers may refuse, with the value that changes nothing and is therefore not sent.
NEUTRAL: dict[str, Any] = {"top_k": 0, "min_p": 0, "beams": 1, "repetition_penalty": 1, "n": 1, "seed": -1}


@dataclass(frozen=True)
class Delta:
    """More text of answer `index`; `finish` is "stop" or "length" at its end, else "".

    The last of a stream may have, in place of text, a `total`: the tokens of prompt and answers.
    """

    index: int
    text: str
    finish: str = ""
    total: int = 0


@dataclass(frozen=True)
class Use:
    """The tokens that a conversation takes, of the `context` that the model has."""

    tokens: int
    context: int


@dataclass(frozen=True)
class Reply:
    """A whole answer, and why it ended: "stop" or "length"."""

    text: str
    finish: str


class Refused(UserError):  # noqa: N818 - what happened to a request
    """The server will not answer this request, whoever asks again: a prompt that is too long, for one."""


class ChatClient:
    """Talks to one server. Every failure is a UserError.

    `url` is the server's root, or a path at which it speaks the protocol (…/v1).
    """

    def __init__(self, url: str, key: str = "") -> None:
        self.url = url.rstrip("/") if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"
        self.key = key

    async def stream(
        self, messages: Sequence[Mapping[str, str]], *, model: str = "base", **decoding: Any
    ) -> AsyncIterator[Delta]:
        """The answers to a conversation as they come. Closing the iterator stops the generation.

        `decoding` are fields of the protocol and our worker's own (top_k, min_p, beams, repetition_penalty).
        """
        body = _body(messages, model, decoding) | {"stream": True, "stream_options": {"include_usage": True}}
        async with self._connected() as http, http.stream("POST", "chat/completions", json=body) as response:
            if response.is_error:
                await response.aread()
                raise self._refusal(response)
            async for line in response.aiter_lines():
                if line.startswith("data:") and (data := line[5:].strip()) != "[DONE]":
                    for delta in self._deltas(data):
                        yield delta

    async def complete(
        self, messages: Sequence[Mapping[str, str]], *, model: str = "base", **decoding: Any
    ) -> list[Reply]:
        """The whole answers to a conversation, `n` of them."""
        async with self._connected() as http:
            response = await http.post("chat/completions", json=_body(messages, model, decoding))
        choices = sorted(self._json(response)["choices"], key=lambda choice: int(choice["index"]))
        return [Reply(choice["message"]["content"] or "", choice["finish_reason"]) for choice in choices]

    async def count(self, messages: Sequence[Mapping[str, str]], *, model: str = "base") -> Use | None:
        """What a conversation takes before it is answered; None from servers that do not tell.

        Our worker tells, and vLLM, beside the protocol: `/tokenize` under the server's root.
        """
        body = {"model": model, "messages": [dict(message) for message in messages]}
        async with self._connected() as http:
            response = await http.post(f"{self.url.removesuffix('/v1')}/tokenize", json=body)
        try:
            told = response.json()
            return Use(int(told["count"]), int(told["max_model_len"]))
        except (ValueError, KeyError, TypeError):
            return None

    async def models(self) -> list[str]:
        """The names that `model` may have; with our worker "base" and its adapters."""
        async with self._connected() as http:
            response = await http.get("models")
        try:
            return [str(entry["id"]) for entry in self._json(response)["data"]]
        except (KeyError, TypeError) as error:
            raise self._nonsense(response.text) from error

    async def warning(self) -> str:
        """What our worker wants people to know of its base ("" for nothing, and from other servers)."""
        async with self._connected() as http:
            response = await http.get("models")
        return str(self._json(response).get("warning", ""))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[httpx.AsyncClient]:
        local = urlsplit(self.url).hostname in LOOPBACK
        client = httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=PATIENCE,
            trust_env=not local,  # a proxy is not to see what goes over the loopback
            verify=self.url.startswith("https"),  # loading certificates takes longer than a short answer
        )
        try:
            async with client:
                yield client
        except httpx.InvalidURL as error:
            raise UserError(f"“{self.url}” is no address of a server: {error}.") from error
        except httpx.HTTPError as error:
            raise UserError(
                f"The chat server at {self.url} {_happened(error)}.",
                kept="The conversation is in the database, without the unfinished answer.",
                do="Ask again. Our own worker is started anew; another server, see that it runs.",
            ) from error

    def _deltas(self, data: str) -> Iterable[Delta]:
        try:
            chunk = json.loads(data)
            if "error" in chunk:
                raise UserError(f"The chat server stopped: {chunk['error'].get('message', data)}")
            if usage := chunk.get("usage"):
                yield Delta(0, "", total=int(usage["total_tokens"]))
            for choice in chunk["choices"]:
                text, finish = choice["delta"].get("content") or "", choice.get("finish_reason") or ""
                if text or finish:
                    yield Delta(choice["index"], text, finish)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._nonsense(data) from error

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        if response.is_error:
            raise self._refusal(response)
        try:
            data: dict[str, Any] = response.json()
        except ValueError as error:
            raise self._nonsense(response.text) from error
        return data

    def _refusal(self, response: httpx.Response) -> UserError:
        try:
            reason = str(response.json()["error"]["message"])
        except (ValueError, KeyError, TypeError):
            reason = f"{response.status_code} {response.reason_phrase}"
        if response.status_code == 401:
            return UserError(
                f"The chat server at {self.url} refuses the key.", do="Set chat_key in the settings."
            )
        what, _, do = reason.partition("\n")
        return (Refused if response.status_code == 400 else UserError)(what, do=do)

    def _nonsense(self, text: str) -> UserError:
        return UserError(
            f"The server at {self.url} does not speak the chat completions protocol: “{text[:80]}”.",
            do="Check chat_url in the settings.",
        )


def _body(messages: Sequence[Mapping[str, str]], model: str, decoding: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: value for name, value in decoding.items() if value is not None}
    sent = {name: value for name, value in wanted.items() if NEUTRAL.get(name) != value}
    if not sent.get("stop"):
        sent.pop("stop", None)
    return {"model": model, "messages": [dict(message) for message in messages], **sent}


def _happened(error: httpx.HTTPError) -> str:
    """What a server did that gave no answer, or not all of one."""
    if isinstance(error, httpx.ConnectError):
        return "cannot be reached"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        return "broke off"
    return f"broke off: {str(error) or type(error).__name__}"
