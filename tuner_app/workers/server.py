"""The chat worker's HTTP side: its routes and the key."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncGenerator, AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.answers import Delta
from engine.errors import UserError
from tuner_app.workers.model import BASE, ChatModel
from tuner_app.workers.openai_api import ApiError, ChatRequest, Reply, event, parse, parse_conversation
from tuner_app.workers.turns import Turns

LARGEST_BODY = 8 * 1024 * 1024
HOSTS = ["127.0.0.1", "localhost"]  # any other Host is a web page that points its own name at this machine


class Server:
    """The routes over one model. `state` is "loading" or "ready"."""

    def __init__(self, model: ChatModel, key: str) -> None:
        self.model, self.key = model, key
        self.state = "loading"
        self.turns = Turns(model)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/tokenize", self.tokenize, methods=["POST"]),
            ],
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
                Middleware(KeyMiddleware, key=self.key),
            ],
            exception_handlers={
                ApiError: _api_error,
                HTTPException: _http_error,
                _ClientGoneError: _nobody,
                Exception: _fault,
            },
        )

    async def health(self, request: Request) -> Response:
        """What the worker is doing; `warning` is for people."""
        return JSONResponse(
            {
                "status": self.state,
                "base": self.model.row.name,
                "warning": self.model.warning,
                "requests": self.turns.waiting,
            }
        )

    async def models(self, request: Request) -> Response:
        """The base and every adapter that the store has for it now."""
        rows = await asyncio.to_thread(self.model.adapters)
        names = [BASE, *(row.name for row in rows)]
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "tuner"} for name in names]
        return JSONResponse({"object": "list", "data": data, "warning": self.model.warning})

    async def tokenize(self, request: Request) -> Response:
        """How many tokens a conversation takes, and how many the model can take: vLLM's names for these."""
        name, messages = parse_conversation(await _body(request))
        self._require_ready()
        adapter = await asyncio.to_thread(self.model.named, name)
        try:
            count, context = await asyncio.to_thread(self.model.count, adapter, messages)
        except UserError as error:
            raise ApiError(422, str(error), code="unusable") from error
        return JSONResponse({"count": count, "max_model_len": context})

    def _require_ready(self) -> None:
        if self.state != "ready":
            raise ApiError(503, "The model is still loading. Try again in a moment.", code="loading")

    async def chat(self, request: Request) -> Response:
        """A chat completion."""
        asked = parse(await _body(request))
        self._require_ready()
        adapter = await asyncio.to_thread(self.model.named, asked.model)
        reply = Reply(asked.model, asked.sampling.n)
        deltas = _while_connected(request, self.turns.stream(asked, adapter, reply))
        try:
            # errors come with the answer's first token: they get a status of their own
            first = await anext(deltas)
        except BaseException:
            await deltas.aclose()
            raise
        if asked.stream:
            events = self._events(asked, reply, first, deltas)
            return StreamingResponse(
                events, media_type="text/event-stream", headers={"cache-control": "no-store"}
            )
        async with contextlib.aclosing(deltas):
            reply.add(first)
            async for more in deltas:
                reply.add(more)
        return JSONResponse(reply.whole())

    async def _events(
        self, asked: ChatRequest, reply: Reply, first: list[Delta], deltas: AsyncGenerator[list[Delta]]
    ) -> AsyncIterator[bytes]:
        async with contextlib.aclosing(deltas):
            for chunk in reply.opening():
                yield chunk
            try:
                reply.add(first)
                yield reply.chunks(first)
                async for more in deltas:
                    reply.add(more)
                    yield reply.chunks(more)
            except ApiError as error:
                yield event(error.body)
                return
            except _ClientGoneError:
                return
            for chunk in reply.closing(asked.usage):
                yield chunk


class _ClientGoneError(Exception):
    """The client closed its connection."""


async def _while_connected(
    request: Request, deltas: AsyncGenerator[list[Delta]]
) -> AsyncGenerator[list[Delta]]:
    """`deltas`, closed as soon as the client leaves, also while it waits for its turn."""
    gone = asyncio.create_task(_disconnection(request))
    async with contextlib.aclosing(deltas):
        try:
            while True:
                step = asyncio.ensure_future(anext(deltas, None))
                try:
                    await asyncio.wait({gone, step}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not step.done():
                        step.cancel()
                        await asyncio.wait({step})
                if step.cancelled():
                    raise _ClientGoneError
                more = step.result()
                if more is None:
                    return
                yield more
        finally:
            gone.cancel()


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise ApiError(
                413, f"The request is longer than {LARGEST_BODY:,} bytes.", code="request_too_large"
            )
        parts.append(part)
    return b"".join(parts)


class KeyMiddleware:
    """Lets nobody in without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self.expected):
                error = ApiError(401, "The key is missing or wrong.", code="invalid_api_key")
                await JSONResponse(error.body, 401, {"www-authenticate": "Bearer"})(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = {"retry-after": "1"} if error.status == 503 else {}
    if error.status == 413:
        headers["connection"] = "close"  # the rest of the body is never read
    return JSONResponse(error.body, error.status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}."
    return JSONResponse(ApiError(error.status_code, message, code="unknown_url").body, error.status_code)


async def _nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _fault(request: Request, error: Exception) -> Response:
    message = "An unexpected fault, which the worker's log describes."
    return JSONResponse(ApiError(500, message, code="fault").body, 500)
