"""Answers to several conversations beside each other are those that each would have had alone."""

from collections import defaultdict
from typing import Any

import architectures
import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from engine import generate as module
from engine import sampling
from engine.answers import Request
from engine.errors import UserError
from engine.generate import Batch
from engine.sampling import Sampling

Answers = list[tuple[str, int, str]]  # text, tokens, finish
PROMPTS = [[5, 9, 11, 7], [8, 6, 12, 30, 9, 21, 14, 17, 40, 33, 9], [13, 4], [50, 51, 52, 53, 54, 55, 56]]
WANTED = [
    Sampling(temperature=0, max_tokens=14),
    Sampling(n=3, max_tokens=9, seed=4),
    Sampling(temperature=0.7, top_k=5, max_tokens=17, seed=1),
    Sampling(n=2, temperature=0, repetition_penalty=1.6, max_tokens=11),
]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tiny.save_model(tmp_path_factory.mktemp("tiny"))
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def batch_of(parts: tuple[Any, Any]) -> Batch:
    return Batch(*parts, context=128, ends=(2,))


class Together:
    """Steps a batch and gathers what its requests are answered."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.texts: dict[Request, dict[int, list[Any]]] = defaultdict(
            lambda: defaultdict(lambda: ["", 0, ""])
        )
        self.errors: dict[Request, Exception] = {}

    def step(self, times: int = 1) -> None:
        for _ in range(times):
            for request, delta in self.batch.step():
                if isinstance(delta, Exception):
                    assert request not in self.errors
                    self.errors[request] = delta
                    continue
                answer = self.texts[request][delta.index]
                answer[:] = [answer[0] + delta.text, delta.tokens, delta.finish]

    def finish(self) -> None:
        while self.batch:
            self.step()

    def answers(self, request: Request) -> Answers:
        found = self.texts[request]
        return [tuple(found[index]) for index in sorted(found)]


def alone(parts: tuple[Any, Any], prompt: list[int], wanted: Sampling) -> Answers:
    together = Together(batch_of(parts))
    request = together.batch.join(prompt, wanted)
    together.finish()
    assert all(finish in ("stop", "length") for _, _, finish in together.answers(request))
    return together.answers(request)


@pytest.mark.parametrize("apart", [0, 1, 3])
def test_who_joins_changes_nobodys_answers(tiny_model: tuple[Any, Any], apart: int) -> None:
    together = Together(batch_of(tiny_model))
    requests = []
    for prompt, wanted in zip(PROMPTS, WANTED, strict=True):
        assert together.batch.takes(len(prompt), wanted)
        requests.append(together.batch.join(prompt, wanted))
        together.step(apart)
    together.finish()
    for request, prompt, wanted in zip(requests, PROMPTS, WANTED, strict=True):
        assert together.answers(request) == alone(tiny_model, prompt, wanted)


def test_one_pass_gives_every_answer_its_next_token(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Together(batch_of(tiny_model))
    for prompt, wanted in zip(PROMPTS, WANTED, strict=True):
        together.batch.join(prompt, wanted)
    passes = []
    run = Batch._run
    monkeypatch.setattr(
        Batch, "_run", lambda self, ids, *a, **k: passes.append(ids.shape) or run(self, ids, *a, **k)
    )
    together.step(5)
    assert passes == [(7, 1)] * 5


def test_what_ended_leaves_no_padding_behind(tiny_model: tuple[Any, Any]) -> None:
    together = Together(batch_of(tiny_model))
    long = together.batch.join(list(range(20, 80)), Sampling(temperature=0, max_tokens=2))
    together.batch.join([5, 9, 11], Sampling(temperature=0, max_tokens=6))
    together.step(2)
    assert together.answers(long)[0][1] == 2
    assert together.batch._cache.get_seq_length() == 4  # three of the prompt, and the first answered
    together.finish()


def test_who_cannot_join_is_told_and_the_others_go_on(tiny_model: tuple[Any, Any]) -> None:
    together = Together(batch_of(tiny_model))
    request = together.batch.join(PROMPTS[0], WANTED[0])
    together.step()
    with pytest.raises(UserError, match="128 tokens"):
        together.batch.join([5] * 128, WANTED[0])
    together.finish()
    assert together.answers(request) == alone(tiny_model, PROMPTS[0], WANTED[0])


def test_one_that_is_cancelled_leaves_the_others(tiny_model: tuple[Any, Any]) -> None:
    together = Together(batch_of(tiny_model))
    left = together.batch.join(PROMPTS[1], WANTED[1], lambda: True)
    stays = together.batch.join(PROMPTS[0], WANTED[0])
    together.finish()
    assert {finish for _, tokens, finish in together.answers(left)} == {"cancelled"}
    assert together.answers(stays) == alone(tiny_model, PROMPTS[0], WANTED[0])


def test_who_may_join(tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(tiny_model)
    searching = Sampling(beams=3, max_tokens=4)
    assert batch.takes(1, searching)
    batch.join(PROMPTS[0], WANTED[0])
    assert not batch.takes(4, searching)
    assert not batch.takes(1, WANTED[0])  # nothing of it could be put into the cache
    assert batch.takes(4, Sampling(n=module.MOST_ANSWERS - 1))
    assert not batch.takes(4, Sampling(n=module.MOST_ANSWERS))
    monkeypatch.setattr(module, "MOST_PADDING", 50)
    assert batch.takes(54, WANTED[0])
    assert not batch.takes(55, WANTED[0])
    other = batch_of(tiny_model)
    other.join(PROMPTS[0], searching)
    assert not other.takes(4, WANTED[0])
    assert not other.takes(4, searching)


@pytest.mark.parametrize("name", [*architectures.EVERY, "Bloom"])
def test_every_architecture_answers_as_if_alone(tiny_model: tuple[Any, Any], name: str) -> None:
    parts = architectures.model_named(name), tiny_model[1]
    together = Together(batch_of(parts))
    requests = {}
    for prompt, wanted in zip(PROMPTS, WANTED, strict=True):
        if together.batch.takes(len(prompt), wanted):
            requests[together.batch.join(prompt, wanted)] = prompt, wanted
        together.step(2)
    together.finish()
    assert len(requests) == (1 if name in ("Gemma2", "Gemma3Text") else 4)  # they have sliding windows
    for request, asked in requests.items():
        assert together.answers(request) == alone(parts, *asked)


class LittleMemory:
    """Lets a pass fail, in its middle, when its cache holds more rows than there is memory for."""

    def __init__(self, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows, self.failed = rows, 0
        monkeypatch.setattr(Batch, "_run", self.run(Batch._run))

    def run(self, real: Any) -> Any:
        def run(batch: Batch, ids: torch.Tensor, cache: DynamicCache, **padding: Any) -> torch.Tensor:
            logits: torch.Tensor = real(batch, ids, cache, **padding)
            # of the prompt's pass too: the rows that it comes beside hold memory meanwhile
            beside = len(batch._answers) if cache is not batch._cache else 0
            if len(ids) + beside > self.rows:
                self.failed += 1
                raise torch.OutOfMemoryError("CUDA out of memory")
            return logits

        return run


@pytest.mark.parametrize("rows", [3, 4, 5])
def test_when_memory_runs_out_for_all_some_wait_and_none_is_lost(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    expected = [alone(tiny_model, *asked) for asked in zip(PROMPTS, WANTED, strict=True)]
    memory = LittleMemory(rows, monkeypatch)
    together = Together(batch_of(tiny_model))
    requests = [together.batch.join(*asked) for asked in zip(PROMPTS, WANTED, strict=True)]
    assert not together.batch.takes(4, WANTED[0])  # those sent away come first
    together.finish()
    assert memory.failed
    assert [together.answers(request) for request in requests] == expected


def test_diverged_answers_go_away_and_come_back_one_by_one(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, three = Sampling(temperature=0, max_tokens=6), Sampling(n=3, seed=4, max_tokens=14)
    expected = [alone(tiny_model, PROMPTS[0], few), alone(tiny_model, PROMPTS[1], three)]
    memory = LittleMemory(9, monkeypatch)
    together = Together(batch_of(tiny_model))
    requests = [together.batch.join(PROMPTS[0], few), together.batch.join(PROMPTS[1], three)]
    together.step(2)
    memory.rows = 3  # the three have tokens of their own when they are sent away
    together.step()
    together.batch._most = 4  # they come back when the third of them has no room any more
    together.finish()
    assert memory.failed == 2
    assert [together.answers(request) for request in requests] == expected


def test_nobody_overtakes_those_sent_away(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    LittleMemory(3, monkeypatch)
    together = Together(batch_of(tiny_model))
    together.batch.join(PROMPTS[0], Sampling(temperature=0, max_tokens=2))
    together.batch.join(PROMPTS[1], Sampling(n=2, max_tokens=9, seed=1))
    assert together.batch.takes(4, WANTED[0])
    together.batch.join(PROMPTS[3], Sampling(n=2, max_tokens=9, seed=1))
    together.step(2)
    assert len(together.batch._answers) == 2  # one has ended: room for one, not for the two that wait
    assert not together.batch.takes(4, WANTED[0])


def test_memory_that_is_too_small_for_one_alone_is_an_error(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(tiny_model, PROMPTS[0], WANTED[0])
    LittleMemory(2, monkeypatch)
    together = Together(batch_of(tiny_model))
    other, too_large = (together.batch.join(PROMPTS[i], WANTED[i]) for i in (0, 1))
    together.finish()
    assert list(together.errors) == [too_large]
    assert isinstance(together.errors[too_large], torch.OutOfMemoryError)
    assert together.answers(other) == expected


@pytest.mark.parametrize("guilty", range(4))
def test_what_goes_wrong_for_one_ends_its_answers_alone(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, guilty: int
) -> None:
    """Wherever it stands among the others, who have begun before it fails."""
    expected = [alone(tiny_model, *asked) for asked in zip(PROMPTS, WANTED, strict=True)]
    real = sampling.pick

    def pick(logits: torch.Tensor, answers: Any) -> list[int]:
        if any(answer.sampling is WANTED[guilty] and answer.tokens == 3 for answer in answers):
            raise ValueError("cannot be drawn from")
        return real(logits, answers)

    together = Together(batch_of(tiny_model))
    requests = [together.batch.join(*asked) for asked in zip(PROMPTS, WANTED, strict=True)]
    monkeypatch.setattr(sampling, "pick", pick)
    together.finish()
    assert list(together.errors) == [requests[guilty]]
    others = [i for i in range(4) if i != guilty]
    assert [together.answers(requests[i]) for i in others] == [expected[i] for i in others]
    assert together.batch.takes(4, WANTED[0])


def test_a_fault_in_its_first_pass_is_told_to_who_joins_alone(
    tiny_model: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(tiny_model, PROMPTS[0], WANTED[0])
    real = Batch._run

    def run(batch: Batch, ids: torch.Tensor, *rest: Any, **padding: Any) -> torch.Tensor:
        if ids.tolist() == [PROMPTS[1][:-1]]:
            raise ValueError("shapes do not match")
        return real(batch, ids, *rest, **padding)

    monkeypatch.setattr(Batch, "_run", run)
    together = Together(batch_of(tiny_model))
    request = together.batch.join(PROMPTS[0], WANTED[0])
    together.step()
    with pytest.raises(ValueError, match="shapes"):
        together.batch.join(PROMPTS[1], WANTED[1])
    together.finish()
    assert (together.answers(request), together.errors) == (expected, {})
