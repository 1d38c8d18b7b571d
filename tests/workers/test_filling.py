"""Answers for a batch: how many, how soon, by whom; and what is done when there are none."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_server import ScriptedServer

from engine.errors import UserError
from engine.examples import Message
from tuner_app.client import Refused, Reply
from tuner_app.conversing.link import ModelLink
from tuner_app.filling import AHEAD, EMPTY, SAME, TOGETHER, Filling
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, batches
from tuner_app.store.rows import Asked, Batch, Maker
from tuner_app.workers import supervisor

Answer = Callable[[str, str, int], str]


class Model:
    """Answers at once, as a function of the model, the prompt and the number of the answer says."""

    def __init__(self, answer: Answer = lambda model, prompt, n: f"{model} {prompt} {n}") -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.given: dict[str, int] = {}
        self.now = self.most = 0

    async def __call__(self, maker: Maker) -> Any:
        assert maker.base == "builtin"
        return self

    async def complete(self, messages: list[dict[str, str]], **rest: Any) -> list[Reply]:
        self.asked.append({"messages": messages, **rest})
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        prompt, drawn = messages[-1]["content"], []
        for _ in range(rest["n"]):
            number = self.given[prompt] = self.given.get(prompt, 0) + 1
            drawn.append(Reply(self.answer(rest["model"], prompt, number), "stop"))
        return drawn


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    opened = Store.open(home.database, migrate=True)
    yield opened
    opened.close()


def make(store: Store, count: int, makers: tuple[str, ...] = ("",), kind: Any = "pair") -> Batch:
    asked = [Asked((Message("user", f"q{n}"),)) for n in range(count)]
    by = [Maker("builtin", adapter) for adapter in makers]
    return batches.make(store, asked, name="b", kind=kind, makers=by, decoding={"temperature": 1.0}, uid="b")


def filling(home: Home, store: Store, batch: Batch, model: Model, filled: Any = lambda: None) -> Filling:
    async def database(function: Any, *args: Any, **rest: Any) -> Any:
        return function(store, *args, **rest)

    def ready() -> int:
        return batches.progress(store, batch.id).ready

    return Filling(home, batch, database, model, ready=ready, filled=filled)


async def test_one_model_answers_twice(home: Home, store: Store) -> None:
    batch, model, filled = make(store, 3), Model(), []
    await filling(home, store, batch, model, lambda: filled.append(1)).run()
    found = batches.waiting(store, batch.id)
    assert [reply.content for reply in found[1].item.replies] == ["base q1 1", "base q1 2"]
    assert [(reply.model, reply.adapter) for reply in found[1].item.replies] == [("builtin", "")] * 2
    assert {(a["n"], a["temperature"]) for a in model.asked} == {(2, 1.0)}
    assert len({a["seed"] for a in model.asked}) == 3
    assert len(filled) == 3


async def test_two_models_against_each_other(home: Home, store: Store) -> None:
    batch, model = make(store, 2, ("", "dpo-1")), Model()
    await filling(home, store, batch, model).run()
    replies = batches.waiting(store, batch.id)[0].item.replies
    assert [(reply.adapter, reply.content) for reply in replies] == [
        ("", "base q0 1"),
        ("dpo-1", "dpo-1 q0 2"),
    ]


async def test_single_answers(home: Home, store: Store) -> None:
    batch = make(store, 2, ("sft-1",), "single")
    await filling(home, store, batch, Model()).run()
    assert [w.item.replies[0].content for w in batches.waiting(store, batch.id)] == [
        "sft-1 q0 1",
        "sft-1 q1 1",
    ]


async def test_no_more_than_are_wanted_and_more_when_these_are_judged(home: Home, store: Store) -> None:
    batch, model = make(store, 60), Model()
    filler = filling(home, store, batch, model)
    running = asyncio.create_task(filler.run())

    async def until(ready: int, judged: int) -> None:
        while filler.in_flight or batches.progress(store, batch.id).ready != ready:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.02)
        found = batches.progress(store, batch.id)
        assert (found.ready, found.judged) == (ready, judged)

    await until(AHEAD, 0)
    assert model.most == TOGETHER
    for waiting in batches.waiting(store, batch.id, limit=15):
        batches.judge(store, waiting, "tie", uid=str(waiting.position))
        filler.changed()
    await until(AHEAD, 15)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(model.asked) == AHEAD + 15


@pytest.mark.parametrize(("differs_at", "kept"), [(2, True), (5, True), (6, False)])
async def test_the_same_answer_is_drawn_again(home: Home, store: Store, differs_at: int, kept: bool) -> None:
    batch = make(store, 1)
    model = Model(lambda model, prompt, n: "other" if n >= differs_at else "same")
    await filling(home, store, batch, model).run()
    assert batches.progress(store, batch.id).ready == kept
    assert batches.failures(store, batch.id) == ({} if kept else {SAME: 1})


async def test_an_empty_answer_and_a_refusal_are_kept_as_such(home: Home, store: Store) -> None:
    def answer(model: str, prompt: str, n: int) -> str:
        if prompt == "q1":
            raise Refused("The prompt is too long.", do="Shorten it.")
        return " " if prompt == "q0" else f"{n}"

    batch = make(store, 3)
    await filling(home, store, batch, Model(answer)).run()
    assert batches.failures(store, batch.id) == {"The prompt is too long.": 1, EMPTY: 1}
    assert batches.progress(store, batch.id).ready == 1


async def test_a_model_that_fails_ends_it_and_it_can_go_on(home: Home, store: Store) -> None:
    batch, model = make(store, 12), Model()

    def broken(model: str, prompt: str, n: int) -> str:
        if prompt == "q5":
            raise UserError("The worker has ended.")
        return f"{n}"

    model.answer, whole = broken, model.answer
    filler = filling(home, store, batch, model)
    with pytest.raises(UserError, match="worker has ended"):
        await filler.run()
    assert filler.in_flight == 0
    assert batches.failures(store, batch.id) == {}, "the prompt is not at fault"
    model.answer = whole
    await filler.run()
    assert batches.progress(store, batch.id).ready == 12


async def test_two_windows_do_not_answer_a_prompt_twice(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuner_app.workers.locks.PATIENCE", 0.0)
    monkeypatch.setattr("tuner_app.filling.CLAIM_SECONDS", 0.001)
    batch, here, there = make(store, 10), Model(), Model()
    await asyncio.gather(filling(home, store, batch, here).run(), filling(home, store, batch, there).run())
    assert len(here.asked) + len(there.asked) == 10
    assert batches.progress(store, batch.id).ready == 10


async def test_nothing_is_asked_when_all_is_answered(home: Home, store: Store) -> None:
    batch, model = make(store, 1), Model()
    batches.fail(store, batch.id, 0, SAME)
    await filling(home, store, batch, model).run()
    assert model.asked == []


async def test_a_batch_is_answered_by_the_model_that_it_names_whatever_the_settings_say(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, link = ScriptedServer(), ModelLink(home, lambda state, why: None)
    started: list[str] = []

    def ensure(home: Home, base: str, **rest: Any) -> supervisor.Endpoint:
        started.append(base)
        return supervisor.Endpoint("http://127.0.0.1:9", "key of ours", 1, base)

    monkeypatch.setattr(supervisor, "ensure_chat", ensure)
    try:
        for models, url in (["llama"], "http://127.0.0.1:9/v1"), (["base", "dpo-1"], f"{server.url}/v1"):
            server.models = models
            link = ModelLink(home, lambda state, why: None)
            client = await link.maker(Settings(chat_url=server.url), Maker("builtin", "dpo-1"))
            assert client.url == url, "another server's model is none of this machine's"
        assert started == ["builtin"]
        server.models = ["llama"]
        theirs, link = Maker(server.url, "llama"), ModelLink(home, lambda state, why: None)
        assert (await link.maker(Settings(chat_url=server.url), theirs)).url == f"{server.url}/v1"
        for settings in (Settings(), Settings(chat_url="http://127.0.0.1:9")):
            with pytest.raises(UserError, match=f"“llama” of {server.url} is to answer here"):
                await link.maker(settings, theirs)
        with pytest.raises(UserError, match="has no model “qwen”"):
            await link.maker(Settings(chat_url=server.url), Maker(server.url, "qwen"))
    finally:
        server.close()
    assert started == ["builtin"]
