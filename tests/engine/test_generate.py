"""The decoding loop against transformers' own, and its text against the tokenizer's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.answers import Delta
from engine.errors import UserError
from engine.generate import generate
from engine.sampling import Sampling, _inverse_cdf, generators
from engine.text_stream import TextStream

GREEDY = Sampling(temperature=0, max_tokens=20)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tiny.save_model(tmp_path_factory.mktemp("tiny"))
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def prompt_of(tokenizer: Any, text: str = "What colour is a lemon?") -> list[int]:
    messages = [{"role": "user", "content": text}]
    ids: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    return ids


def respond(
    model: Any,
    tokenizer: Any,
    prompt: list[int],
    sampling: Sampling,
    ends: tuple[int, ...] = (2,),
    **more: Any,
) -> Iterator[Delta]:
    return generate(model, tokenizer, prompt, sampling, context=128, ends=ends, **more)


def answers(model: Any, tokenizer: Any, sampling: Sampling, **more: Any) -> list[tuple[str, int, str]]:
    """(text, tokens, finish) of each answer."""
    deltas = list(respond(model, tokenizer, prompt_of(tokenizer), sampling, **more))
    found = []
    for index in range(sampling.n):
        own = [delta for delta in deltas if delta.index == index]
        assert [bool(delta.finish) for delta in own] == [False] * (len(own) - 1) + [True]
        found.append(("".join(delta.text for delta in own), own[-1].tokens, own[-1].finish))
    return found


def reference(model: Any, tokenizer: Any, **more: Any) -> list[str]:
    """What transformers' own `generate` answers."""
    ids = torch.tensor([prompt_of(tokenizer)])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **more)
    return [tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True) for row in out]


def test_greedy_answers_like_transformers(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    [(text, tokens, finish)] = answers(model, tokenizer, GREEDY)
    assert [text] == reference(model, tokenizer, max_new_tokens=20)
    assert (tokens, finish) == (20, "length")


def test_repetition_penalty_like_transformers(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    [(text, _, _)] = answers(model, tokenizer, Sampling(temperature=0, max_tokens=30, repetition_penalty=1.7))
    assert [text] == reference(model, tokenizer, max_new_tokens=30, repetition_penalty=1.7)
    assert [text] != reference(model, tokenizer, max_new_tokens=30)


def test_beam_search_like_transformers(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    found = answers(model, tokenizer, Sampling(beams=4, n=2, max_tokens=12, temperature=0.9))
    assert [text for text, _, _ in found] == reference(
        model, tokenizer, max_new_tokens=12, num_beams=4, num_return_sequences=2
    )


def test_same_seed_same_answer_alone_or_among_others(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    several = answers(model, tokenizer, Sampling(n=4, max_tokens=25, seed=11))
    assert several[:1] == answers(model, tokenizer, Sampling(max_tokens=25, seed=11))
    assert several[:3] == answers(model, tokenizer, Sampling(n=3, max_tokens=25, seed=11))
    assert len({text for text, _, _ in several}) == 4
    assert several != answers(model, tokenizer, Sampling(n=4, max_tokens=25, seed=99))


def test_an_answer_that_ends_leaves_the_others_as_they_are(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    plain = answers(model, tokenizer, Sampling(n=6, max_tokens=25, seed=3), ends=())
    # a character that some of the answers hold and others do not
    mark = next(c for c in "aeiouAeb.lH" if 0 < sum(c in text for text, _, _ in plain) < 6)
    stopped = answers(model, tokenizer, Sampling(n=6, max_tokens=25, seed=3, stop=(mark,)), ends=())
    for (whole, _, _), (cut, _, finish) in zip(plain, stopped, strict=True):
        assert cut == whole.split(mark)[0]
        assert finish == ("stop" if mark in whole else "length")


def test_draws_follow_the_distribution_and_never_leave_it() -> None:
    logits = torch.tensor([2.0, -1.0, float("-inf"), 0.5, float("-inf")])
    tokens = _inverse_cdf(logits.expand(4000, -1), generators(Sampling(n=4000, seed=0)))
    shares = torch.bincount(tokens, minlength=5) / 4000
    assert torch.allclose(shares, logits.softmax(-1), atol=0.02)
    assert shares[[2, 4]].tolist() == [0, 0]


def test_the_smallest_draw_is_no_filtered_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.zeros(1))
    scores = torch.tensor([[float("-inf"), float("-inf"), 1.0, 0.0]])
    assert _inverse_cdf(scores, generators(Sampling(seed=0))).tolist() == [2]


@pytest.mark.parametrize("filters", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}])
def test_filters_that_keep_one_token_are_greedy(tiny_model: tuple[Any, Any], filters: dict[str, Any]) -> None:
    model, tokenizer = tiny_model
    filtered = answers(model, tokenizer, Sampling(temperature=1.5, max_tokens=20, seed=5, **filters))
    assert filtered == answers(model, tokenizer, GREEDY)


def test_stop_string_across_tokens_keeps_the_text_before(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    [(text, _, _)] = answers(model, tokenizer, GREEDY)
    stop = text[5:9]  # four characters from the middle: more than one token
    assert len(tokenizer.encode(stop, add_special_tokens=False)) > 1
    [(cut, _, finish)] = answers(
        model, tokenizer, Sampling(temperature=0, max_tokens=20, stop=("never", stop))
    )
    assert (cut, finish) == (text[: text.index(stop)], "stop")


def test_end_token_ends_the_answer_and_is_not_shown(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    ids = torch.tensor([prompt_of(tokenizer)])
    third = int(model.generate(ids, do_sample=False, max_new_tokens=3)[0, -1])
    [(text, tokens, finish)] = answers(model, tokenizer, GREEDY, ends=(third,))
    assert (tokens, finish) == (3, "stop")
    assert answers(model, tokenizer, Sampling(temperature=0, max_tokens=2))[0][0] == text


def test_context_bounds_the_answer(tiny_model: tuple[Any, Any]) -> None:
    model, tokenizer = tiny_model
    ids = prompt_of(tokenizer) * 20
    deltas = list(respond(model, tokenizer, ids[:120], Sampling(temperature=0), ends=()))
    assert (deltas[-1].tokens, deltas[-1].finish) == (8, "length")
    wanting = Sampling(temperature=0, max_tokens=500)
    assert list(respond(model, tokenizer, ids[:120], wanting, ends=())) == deltas
    with pytest.raises(UserError, match=r"The conversation is 128 tokens; the model takes 128"):
        next(respond(model, tokenizer, ids[:128], Sampling()))
    with pytest.raises(UserError, match="empty"):
        next(respond(model, tokenizer, [], Sampling()))


@pytest.mark.parametrize("beams", [1, 3])
def test_cancelled_between_tokens(tiny_model: tuple[Any, Any], beams: int) -> None:
    model, tokenizer = tiny_model
    asked = iter(range(100))
    [(_, tokens, finish)] = answers(
        model,
        tokenizer,
        Sampling(max_tokens=50, seed=1, beams=beams),
        ends=(),
        should_stop=lambda: next(asked) >= 4,
    )
    assert finish == "cancelled"
    assert tokens <= 5


def test_every_stop_string_cuts_however_tokens_divide_it(tiny_model: tuple[Any, Any]) -> None:
    _, tokenizer = tiny_model
    text = "A lemon is yellow, a lime is not."
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert len(ids) < len(text) / 1.5
    for start in range(len(text)):
        for end in range(start + 1, min(start + 9, len(text)) + 1):
            stop = text[start:end]
            stream = TextStream(tokenizer, ("zebra", stop))
            out = "".join(stream.add(token) for token in ids if not stream.stopped)
            assert (out + stream.end(), stream.stopped) == (text.split(stop)[0], True)


TEXTS = ["plain words", " two  spaces ", "Grüße 日本語 🙂👩‍👩‍👧 é", "a\n\n b\t", "\ufffd really"]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_whole_characters_and_add_up(tiny_model: tuple[Any, Any], text: str) -> None:
    _, tokenizer = tiny_model
    assert_streams(tokenizer, text)


def assert_streams(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False)
    stream = TextStream(tokenizer)
    pieces = [stream.add(token) for token in ids]
    assert "".join(pieces) + stream.end() == tokenizer.decode(ids)
    if "\ufffd" not in text:
        assert "\ufffd" not in "".join(pieces)


def test_bytes_that_are_no_character_come_out_at_the_end(tiny_model: tuple[Any, Any]) -> None:
    _, tokenizer = tiny_model
    euro = tokenizer.encode("€", add_special_tokens=False)
    assert len(euro) == 3
    stream = TextStream(tokenizer)
    assert [stream.add(token) for token in euro[:2]] == ["", ""]
    assert stream.end() == "\ufffd"
    broken = TextStream(tokenizer)
    out = "".join(broken.add(token) for token in [euro[1]] * 9 + euro)
    assert out == "\ufffd" * 9 + "€"


@pytest.mark.skipif("TUNER_CONFORMANCE_DATA" not in os.environ, reason="needs TUNER_CONFORMANCE_DATA")
@pytest.mark.parametrize("text", TEXTS)
def test_sentencepiece_pieces_add_up(text: str) -> None:
    folder = Path(os.environ["TUNER_CONFORMANCE_DATA"]) / "models" / "stories260K"
    assert_streams(AutoTokenizer.from_pretrained(folder), text)
