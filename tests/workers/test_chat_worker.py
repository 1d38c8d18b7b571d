"""The chat worker as the openai package, which we did not write, sees it."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from places import ANSWER, PROMPT, Place

from tuner_app.workers.supervisor import Endpoint

MESSAGES: list[Any] = [{"role": "user", "content": PROMPT}]


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key=endpoint.key, max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, **more: Any) -> Any:
    wanted = {"model": "base", "messages": MESSAGES, "max_tokens": 16, "temperature": 0} | more
    return client.chat.completions.create(**wanted)


def text_of(answer: Any) -> str:
    content: str = answer.choices[0].message.content
    return content


def test_streamed_and_whole_answers_agree(client: openai.OpenAI) -> None:
    whole = ask(client)
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 16)
    assert whole.usage.prompt_tokens > 4
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + 16
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(pieces) == text_of(whole)
    assert len([piece for piece in pieces if piece]) > 3
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    assert chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1


def test_n_answers_and_seeds(client: openai.OpenAI) -> None:
    several = [c.message.content for c in ask(client, n=3, temperature=1, seed=7).choices]
    assert len(set(several)) == 3
    assert [c.message.content for c in ask(client, n=3, temperature=1, seed=7).choices] == several
    assert text_of(ask(client, temperature=1, seed=7)) == several[0]
    assert text_of(ask(client, temperature=1, seed=8)) != several[0]
    streamed = ["", "", ""]
    for chunk in ask(client, n=3, temperature=1, seed=7, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == several


def test_extensions_and_greedy(client: openai.OpenAI) -> None:
    greedy = text_of(ask(client))
    assert text_of(ask(client, temperature=1.5, extra_body={"top_k": 1})) == greedy
    assert text_of(ask(client, temperature=1.5, top_p=0)) == greedy
    assert text_of(ask(client, temperature=1.5, extra_body={"min_p": 1})) == greedy
    beams = ask(client, n=2, extra_body={"beams": 4})
    assert beams.choices[0].message.content != beams.choices[1].message.content
    assert text_of(ask(client, temperature=1, extra_body={"beams": 4})) == text_of(beams)


def test_stop_strings(client: openai.OpenAI) -> None:
    greedy = text_of(ask(client))
    stopped = ask(client, stop=[greedy[6:9], "never"])
    assert text_of(stopped) == greedy[: greedy.index(greedy[6:9])]
    assert stopped.choices[0].finish_reason == "stop"


def test_both_names_of_the_limit(client: openai.OpenAI) -> None:
    assert ask(client, max_tokens=openai.omit, max_completion_tokens=3).usage.completion_tokens == 3


def test_content_in_parts_and_developer_role(client: openai.OpenAI) -> None:
    parts = [
        {
            "role": "user",
            "content": [{"type": "text", "text": PROMPT[:9]}, {"type": "text", "text": PROMPT[9:]}],
        }
    ]
    assert text_of(ask(client, messages=parts)) == text_of(ask(client))
    system = [{"role": "system", "content": "x"}, *MESSAGES]
    developer = [{"role": "developer", "content": "x"}, *MESSAGES]
    assert text_of(ask(client, messages=developer)) == text_of(ask(client, messages=system))


def test_an_adapter_answers_by_its_name_and_the_base_stays_the_base(client: openai.OpenAI) -> None:
    before = text_of(ask(client))
    assert before != ANSWER
    trained = ask(client, model="yellow")
    assert (text_of(trained), trained.choices[0].finish_reason) == (ANSWER, "stop")
    assert trained.model == "yellow"
    assert text_of(ask(client)) == before


def test_an_adapter_trained_meanwhile_appears(client: openai.OpenAI, shared_place: Place) -> None:
    names = [model.id for model in client.models.list()]
    assert names[:2] == ["base", "yellow"]
    run = shared_place.trained(shared_place.plan("dpo", parent="yellow"))
    assert [model.id for model in client.models.list()] == [*names, run.name]
    assert ask(client, model=run.name).choices[0].message.content


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.type"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"seed": 1.5}, "seed"),
        ({"extra_body": {"beams": 99}}, "beams"),
        ({"n": 3, "extra_body": {"beams": 2}}, "n"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
    ],
)
def test_a_wrong_field_is_named(client: openai.OpenAI, change: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **change)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert f"“{param}”" in caught.value.body["message"]  # type: ignore[index, call-overload]


def test_unknown_model_lists_those_there_are(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="base, yellow") as caught:
        ask(client, model="gpt-9")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [True, False])
def test_a_conversation_longer_than_the_context(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError, match=r"is \d{4,} tokens; the model takes 4096") as caught:
        ask(client, messages=[{"role": "user", "content": PROMPT * 900}], stream=stream)
    assert caught.value.code == "context_length_exceeded"


def test_a_wrong_key_and_a_foreign_host(endpoint: Endpoint) -> None:
    with (
        openai.OpenAI(base_url=f"{endpoint.url}/v1", api_key="guess", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    for path in ("/health", "/v1/models", "/v1/chat/completions", "/nothing"):
        assert httpx.get(endpoint.url + path).status_code == 401
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    assert httpx.get(f"{endpoint.url}/health", headers=headers).status_code == 200
    assert httpx.get(f"{endpoint.url}/health", headers=headers | {"Host": "evil.example"}).status_code == 400
    assert httpx.get(f"{endpoint.url}/nothing", headers=headers).json()["error"]["code"] == "unknown_url"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model": NaN}', b"[" * 100_000, b"\xff"])
def test_bodies_that_are_no_request(endpoint: Endpoint, body: bytes) -> None:
    answer = post(endpoint, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_body_that_is_too_large(endpoint: Endpoint) -> None:
    answer = post(endpoint, b" " * (9 << 20))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def post(endpoint: Endpoint, body: bytes) -> httpx.Response:
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    return httpx.post(f"{endpoint.url}/v1/chat/completions", headers=headers, content=body)


def busy(endpoint: Endpoint) -> int:
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    requests: int = httpx.get(f"{endpoint.url}/health", headers=headers).json()["requests"]
    return requests


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_its_generation(endpoint: Endpoint, stream: bool) -> None:
    # Nobody could wait for 64 answers of 4000 tokens: the next answer comes soon only if they stopped.
    body = {"model": "base", "messages": MESSAGES, "max_tokens": 4000, "n": 64, "seed": 1, "stream": stream}
    headers = {"Authorization": f"Bearer {endpoint.key}"}
    with httpx.Client() as http:
        request = http.build_request(
            "POST", f"{endpoint.url}/v1/chat/completions", headers=headers, json=body
        )
        if stream:
            response = http.send(request, stream=True)
            lines = response.iter_lines()
            assert "content" in next(lines)
            assert busy(endpoint) == 1  # health answers during a generation
            response.close()
        else:
            request.extensions["timeout"] = {"read": 0.5}
            with pytest.raises(httpx.ReadTimeout):
                http.send(request)
    deadline = time.monotonic() + 5
    while busy(endpoint) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert busy(endpoint) == 0
    start = time.monotonic()
    assert (
        post(endpoint, json.dumps(body | {"n": 1, "max_tokens": 1, "stream": False}).encode()).status_code
        == 200
    )
    assert time.monotonic() - start < 2


def test_requests_beside_each_other_are_answered_as_if_alone(client: openai.OpenAI) -> None:
    wanted: list[dict[str, Any]] = [{}, {"max_tokens": 5}, {"n": 3, "temperature": 1, "seed": 3}]
    wanted += [{"model": "yellow"}, {"extra_body": {"beams": 3}}, {"temperature": 1, "seed": 8}, {}]

    def texts(more: dict[str, Any]) -> list[str]:
        return [choice.message.content for choice in ask(client, **more).choices]

    alone = [texts(more) for more in wanted]
    with ThreadPoolExecutor(len(wanted)) as pool:
        assert list(pool.map(texts, wanted)) == alone


def test_a_short_answer_does_not_wait_for_a_long_one(client: openai.OpenAI) -> None:
    with ask(client, max_tokens=4000, n=8, temperature=1, seed=1, stream=True) as long:
        next(iter(long))
        with pytest.raises(openai.BadRequestError):
            ask(client, messages=[{"role": "user", "content": PROMPT * 900}])
        assert ask(client, max_tokens=3).usage.completion_tokens == 3
        next(iter(long))  # it goes on
        with ask(client, max_tokens=4000, stream=True) as other:
            next(iter(other))
        assert next(iter(long)).choices  # also when one beside it has left


def test_another_adapter_waits_and_is_not_overtaken(client: openai.OpenAI, endpoint: Endpoint) -> None:
    order: list[str] = []

    def answered(name: str, **more: Any) -> None:
        ask(client, **more)
        order.append(name)

    with ThreadPoolExecutor(2) as pool:
        with ask(client, max_tokens=4000, n=8, temperature=1, seed=1, stream=True) as first:
            next(iter(first))
            second = pool.submit(answered, "second", model="yellow")
            _until(endpoint, 2)
            third = pool.submit(answered, "third", max_tokens=400, n=8, temperature=1, seed=1)
            _until(endpoint, 3)
        for future in (second, third):
            future.result()
    assert order == ["second", "third"]


def _until(endpoint: Endpoint, requests: int) -> None:
    deadline = time.monotonic() + 10
    while busy(endpoint) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)
