"""The committed base: its files, its template, and what it can do."""

import json
from typing import Any

import pytest
import torch
from safetensors import safe_open

from assets.base import FOLDER, measure
from assets.base.tokens import encode
from assets.world import LEFT_OUT, RATES, dialogues, judge, questions
from engine.examples import Message


@pytest.fixture(scope="module")
def base() -> tuple[Any, Any]:
    _, model, tokenizer = measure.load(FOLDER)
    return model, tokenizer


def greedy(base: tuple[Any, Any], prompts: list[list[Message]]) -> list[str]:
    return measure.replies(*base, prompts, temperature=0, seed=0)


def messages(dialogue: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in dialogue]


def test_the_card_names_the_rates_and_all_that_is_left_out() -> None:
    card = (FOLDER / "README.md").read_text()
    assert f"| {' | '.join(f'{rate:.2f}' for rate in RATES.values())} |" in card
    assert [name for name in LEFT_OUT if name not in card] == []


def test_files_are_small_and_complete() -> None:
    names = {path.name for path in FOLDER.iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "README.md",
    } <= names
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) <= 12_000_000


def test_weights_are_bf16_and_every_width_suits_four_bit_blocks() -> None:
    with safe_open(FOLDER / "model.safetensors", "pt") as weights:
        tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert 2_000_000 <= sum(tensor.numel() for tensor in tensors.values()) <= 6_000_000
    assert [name for name, tensor in tensors.items() if any(size % 64 for size in tensor.shape)] == []
    assert json.loads((FOLDER / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]


def test_special_tokens_are_distinct_and_the_end_token_ends_generation(base: tuple[Any, Any]) -> None:
    model, tokenizer = base
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_any_text_survives_the_tokenizer(base: tuple[Any, Any]) -> None:
    for text in ("Grüße, 世界 🦊!", "  two  spaces ", "a\n\tb", "12 + 345", "\x00\x1b[31m"):
        assert base[1].decode(base[1](text)["input_ids"]) == text


def test_the_mask_covers_what_the_assistant_says_and_its_end(base: tuple[Any, Any]) -> None:
    tokenizer = base[1]
    history = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello!"},
        {"role": "assistant", "content": "Hello there."},
        {"role": "user", "content": "Bye!"},
        {"role": "assistant", "content": "Goodbye."},
    ]
    encoded = tokenizer.apply_chat_template(history, return_assistant_tokens_mask=True, return_dict=True)
    masked = [
        token for token, said in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if said
    ]
    assert tokenizer.decode(masked) == "Hello there.<|end|>Goodbye.<|end|>"


def test_a_reply_extends_the_rendering_of_its_prompt(base: tuple[Any, Any]) -> None:
    for dialogue in dialogues(seed=9, n=50):
        whole = base[1].apply_chat_template(messages(dialogue), tokenize=False)
        prompt = base[1].apply_chat_template(
            messages(dialogue[:-1]), tokenize=False, add_generation_prompt=True
        )
        assert whole == prompt + dialogue[-1].content + base[1].eos_token


def test_training_saw_what_the_template_renders(base: tuple[Any, Any]) -> None:
    texts = list(dialogues(seed=8, n=50))
    for text, (ids, mask) in zip(texts, encode(base[1], texts), strict=True):
        rendered = base[1].apply_chat_template(
            messages(text), return_assistant_tokens_mask=True, return_dict=True
        )
        assert rendered["input_ids"] == ids
        assert rendered["assistant_masks"] == mask


@pytest.mark.parametrize("seed", [1, 5, 6])
def test_greedy_answers_to_held_out_questions(base: tuple[Any, Any], seed: int) -> None:
    asked = questions(300, seed, "held_out")
    verdicts = measure.measured(*base, asked, temperature=0, seed=seed)
    assert sum(verdict.well_formed for verdict in verdicts) >= 0.95 * 300
    assert sum(verdict.right for verdict in verdicts) >= 0.85 * 300


@pytest.mark.slow
def test_sampled_answers_keep_the_rates(base: tuple[Any, Any]) -> None:
    verdicts = measure.measured(*base, questions(600, 2, "held_out"), temperature=1, seed=2)
    figures = measure.summary(verdicts)
    assert figures["well formed"] >= 0.90
    for manner, rate in RATES.items():
        assert abs(figures[manner] - rate) <= 0.05


def test_capitals_and_missing_marks_do_not_break_it(base: tuple[Any, Any]) -> None:
    texts = [
        "What does a cow say?",
        "What is the opposite of hot?",
        "Where does a bear live?",
        "How are you?",
    ]
    shapes = [shape for text in texts for shape in (text, text.upper(), text.lower()[:-1], text.upper()[:-1])]
    prompts = [[Message("user", shape)] for shape in shapes]
    for prompt, reply in zip(prompts, greedy(base, prompts), strict=True):
        verdict = judge(prompt, reply)
        assert (verdict.right, verdict.well_formed) == (True, True), (prompt, reply)


def test_it_says_that_it_does_not_know(base: tuple[Any, Any]) -> None:
    texts = [
        "Who is the president of Mexico?",
        "What does a grimble say?",
        "Write me a sorting function.",
        "sdfjkl",
    ]
    prompts = [[Message("user", text)] for text in texts]
    for prompt, reply in zip(prompts, greedy(base, prompts), strict=True):
        assert judge(prompt, reply).right, (prompt, reply)


def test_what_was_left_out_is_news_to_it(base: tuple[Any, Any]) -> None:
    verdicts = measure.measured(*base, questions(200, 3, "lessons"), temperature=0, seed=3)
    assert sum(verdict.right for verdict in verdicts) <= 0.3 * 200
