"""The interfaces' client: against our worker, and against servers that misbehave."""

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from places import ANSWER, PROMPT

from engine.errors import UserError
from tuner_app.client import ChatClient, Delta
from tuner_app.workers.supervisor import Endpoint

MESSAGES = [{"role": "user", "content": PROMPT}]


@pytest.fixture
def client(endpoint: Endpoint) -> ChatClient:
    return ChatClient(endpoint.url, endpoint.key)


async def test_stream_complete_and_models(client: ChatClient) -> None:
    assert (await client.models())[:2] == ["base", "yellow"]
    assert await client.warning() == ""
    deltas = [
        delta async for delta in client.stream(MESSAGES, model="yellow", temperature=0, seed=None, stop=())
    ]
    assert "".join(delta.text for delta in deltas) == ANSWER
    assert deltas[-2].finish == "stop"
    [reply] = await client.complete(MESSAGES, model="yellow", temperature=0, top_k=0, beams=1)
    assert (reply.text, reply.finish) == (ANSWER, "stop")
    several = await client.complete(MESSAGES, n=2, seed=1, max_tokens=5)
    streamed = ["", ""]
    async for delta in client.stream(MESSAGES, n=2, seed=1, max_tokens=5):
        streamed[delta.index] += delta.text
    assert streamed == [reply.text for reply in several]


async def test_tokens_are_counted_before_and_told_with_the_answer(client: ChatClient) -> None:
    use = await client.count(MESSAGES, model="yellow")
    assert use is not None
    assert use.context == 4096
    last = [delta async for delta in client.stream(MESSAGES, model="yellow", max_tokens=3, temperature=0)][-1]
    assert (last.text, last.total) == ("", use.tokens + 3)
    longer = await client.count([*MESSAGES, {"role": "assistant", "content": ANSWER}, *MESSAGES])
    assert longer is not None
    assert longer.tokens > 2 * use.tokens
    assert await client.count(MESSAGES, model="nobody") is None, "who asks it to answer is told why"


async def test_leaving_a_stream_stops_the_generation(client: ChatClient, endpoint: Endpoint) -> None:
    stream = client.stream(MESSAGES, n=64, max_tokens=4000, seed=1)
    assert isinstance(await anext(stream), Delta)
    await stream.aclose()  # type: ignore[attr-defined]
    for _ in range(100):
        health = httpx.get(f"{endpoint.url}/health", headers={"Authorization": f"Bearer {endpoint.key}"})
        if health.json()["requests"] == 0:
            break
        await asyncio.sleep(0.05)
    await asyncio.wait_for(client.complete(MESSAGES, max_tokens=1), 5)  # it need not wait for the other's end


async def test_refusals_are_for_people(client: ChatClient, endpoint: Endpoint) -> None:
    with pytest.raises(UserError, match=r"“nobody” does not exist. Models: base, yellow"):
        await client.complete(MESSAGES, model="nobody")
    with pytest.raises(UserError, match=r"tokens; the model takes 4096") as caught:
        await anext(client.stream([{"role": "user", "content": PROMPT * 900}]))
    assert "Start a new conversation" in caught.value.do
    with pytest.raises(UserError, match="refuses the key"):
        await ChatClient(endpoint.url, "wrong").models()
    with pytest.raises(UserError, match="cannot be reached"):
        await ChatClient("http://127.0.0.1:9", "").models()


@contextmanager
def server(body: bytes, status: int = 200, heard: list[Any] | None = None) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            if heard is not None:
                heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/some/path"
        made.shutdown()


@pytest.mark.parametrize(
    "body", [b"<html>hi</html>", b"data: {\n\n", b'data: {"choices": [{}]}\n\n', b"data: 5\n\n"]
)
async def test_a_server_that_speaks_something_else(body: bytes) -> None:
    with server(body) as url:
        with pytest.raises(UserError, match="does not speak"):
            await ChatClient(url).models()
        if body.startswith(b"data"):
            with pytest.raises(UserError, match="does not speak"):
                await anext(ChatClient(url).stream(MESSAGES))


async def test_other_servers_get_no_field_that_they_may_not_know() -> None:
    heard: list[Any] = []
    answer = b'{"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}'
    with server(answer, heard=heard) as url:
        neutral = {"top_k": 0, "min_p": 0.0, "beams": 1, "n": 1, "seed": None, "stop": ()}
        assert await ChatClient(url).count(MESSAGES) is None, "it does not say how many they are"
        heard.clear()
        [reply] = await ChatClient(url).complete(MESSAGES, model="m", temperature=0, **neutral)
        await ChatClient(url).complete(MESSAGES, model="m", top_k=3, stop=("x",))
    assert reply.text == "hi"
    assert heard[0] == {"model": "m", "messages": MESSAGES, "temperature": 0}
    assert (heard[1]["top_k"], heard[1]["stop"]) == (3, ["x"])


async def test_errors_inside_a_stream_and_without_a_body() -> None:
    failing = b'data: {"error": {"message": "out of memory"}}\n\n'
    with server(failing) as url, pytest.raises(UserError, match="out of memory"):
        await anext(ChatClient(url).stream(MESSAGES))
    with server(b"oops", 502) as url, pytest.raises(UserError, match="502 Bad Gateway"):
        await ChatClient(url).complete(MESSAGES)
