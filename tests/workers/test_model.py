"""The model behind the chat worker, in this process."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
import tiny
from places import ANSWER, PROMPT, Place

from engine import sampling
from engine.examples import Message
from engine.sampling import Sampling
from engine.spec import Adapter
from tuner_app import bases
from tuner_app.paths import builtin_base
from tuner_app.workers.model import ChatModel
from tuner_app.workers.openai_api import ApiError, ChatRequest, Reply
from tuner_app.workers.turns import Turns


def loaded(place: Place, base: str) -> ChatModel:
    model = ChatModel(place.home, place.store, bases.register(place.store, base))
    model.load()
    return model


def answer(model: ChatModel, name: str = "base") -> str:
    asked = ChatRequest(
        model=name,
        messages=(Message("user", PROMPT),),
        sampling=Sampling(temperature=0, max_tokens=12),
        stream=False,
        usage=False,
    )

    async def collected() -> str:
        stream = Turns(model).stream(asked, model.named(name), Reply(name, 1))
        return "".join([delta.text async for deltas in stream for delta in deltas])

    return asyncio.run(collected())


def test_what_goes_wrong_for_one_request_is_told_to_that_one_alone(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(place, str(place.model))
    alone = answer(model)
    real = sampling.pick

    def pick(logits: Any, answers: Any) -> Any:
        if any(each.sampling.top_k == 7 for each in answers):
            raise ValueError("cannot be drawn from")
        return real(logits, answers)

    monkeypatch.setattr(sampling, "pick", pick)
    turns = Turns(model)

    async def answered(top_k: int) -> str:
        wanted = Sampling(temperature=0, max_tokens=12, top_k=top_k)
        asked = ChatRequest("base", (Message("user", PROMPT),), wanted, stream=False, usage=False)
        deltas = [delta async for some in turns.stream(asked, None, Reply("base", 1)) for delta in some]
        return "".join(delta.text for delta in deltas)

    async def together() -> list[Any]:
        return await asyncio.gather(*map(answered, (0, 7, 0)), return_exceptions=True)

    first, failed, last = asyncio.run(together())
    assert (first, last) == (alone, alone)
    assert isinstance(failed, ValueError)


def check_without_template(place: Place, folder: Path) -> None:
    model = loaded(place, str(folder))
    file = place.home.templates / f"{folder.name}.jinja"
    assert str(file) in model.warning
    assert "without a chat template" in model.warning
    before = answer(model)
    file.write_text("{% for m in messages %}{{ m.content }}{% endfor %} my name is")
    assert answer(model) != before  # a change counts from the next answer on
    file.write_text("{% for m in %}")
    with pytest.raises(ApiError, match="template"):
        answer(model)


def test_a_model_without_a_chat_template(place: Place, tmp_path: Path) -> None:
    check_without_template(place, tiny.save_model(tmp_path / "plain", template=False))


@pytest.mark.skipif("TUNER_CONFORMANCE_DATA" not in os.environ, reason="needs TUNER_CONFORMANCE_DATA")
def test_a_real_model_without_a_chat_template(place: Place) -> None:
    check_without_template(place, Path(os.environ["TUNER_CONFORMANCE_DATA"]) / "models" / "stories260K")


@pytest.mark.skipif(
    not (builtin_base() / "model.safetensors").is_file(), reason="the built-in base is not made"
)
def test_the_built_in_base_answers_and_ends(place: Place) -> None:
    model = loaded(place, "builtin")
    assert model.warning == ""
    assert model.row.source == "builtin"
    assert "yellow" in answer(model)


def test_a_broken_adapter_is_named_and_the_base_still_answers(place: Place) -> None:
    run = place.trained(place.plan())
    broken = place.trained(place.plan(name="broken"))
    (place.home.adapter(broken.name) / "adapter_model.safetensors").write_bytes(b"no tensors")
    model = loaded(place, str(place.model))
    before = answer(model)
    with pytest.raises(ApiError, match=r"adapter in .*broken.* cannot be used") as caught:
        answer(model, "broken")
    assert caught.value.status == 422
    assert answer(model, run.name) == ANSWER
    assert answer(model) == before


def test_adapters_beyond_the_limit_make_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuner_app.workers.model.MOST_LOADED", 1)
    first, second = (place.trained(place.plan(seed=seed)) for seed in (0, 1))
    model = loaded(place, str(place.model))
    assert model.base is not None
    for name in (first.name, second.name) * 2:
        assert answer(model, name) == ANSWER
        in_memory = [path for path, _ in model.base.model.named_parameters() if "q_proj.lora_A" in path]
        assert len(in_memory) == 2  # of one adapter, in each of the two layers


def test_of_fully_fine_tuned_ones_the_last_stays_in_memory(place: Place) -> None:
    full, rate = Adapter("full"), {"learning_rate": 1e-3}
    first, second = (place.trained(place.plan(seed=seed, adapter=full, options=rate)) for seed in (0, 1))
    lora = place.trained(place.plan())
    model = loaded(place, str(place.model))
    assert model.base is not None
    before = answer(model)
    for name in (first.name, lora.name, second.name, first.name):
        answer(model, name)
        kinds = [model.base.attached[hash].kind for hash in model._loaded]
        assert kinds.count("full") == 1
    assert kinds.count("lora") == 1
    assert answer(model) == before


def test_an_adapter_speaks_in_the_template_it_was_trained_with(place: Place, tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "plain", template=False, context=4096)
    run = place.trained(place.plan(base=str(folder)))
    (place.home.templates / "plain.jinja").write_text("something else")
    assert answer(loaded(place, str(folder)), run.name) == ANSWER
