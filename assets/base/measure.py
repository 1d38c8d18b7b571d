"""Measures the base: `python -m assets.base.measure [DIR]` prints the figures of the model card."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from assets.base import FOLDER
from assets.world import RATES, Question, Split, Verdict, gold, judge, questions
from engine.examples import Message

LONGEST = 160  # tokens of a reply; one that has not ended by then is malformed


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wrong", action="store_true", help="show the questions that were answered wrongly")
    args = parser.parse_args()
    seconds, model, tokenizer = load(args.folder)
    print(f"loaded in {seconds:.2f} s, torch and transformers imported")
    trials: tuple[tuple[Split, int, float], ...] = (
        ("held_out", 300, 0),
        ("held_out", 1200, 1),
        ("lessons", 300, 0),
    )
    for split, n, temperature in trials:
        asked = questions(n, args.seed, split)
        verdicts = measured(model, tokenizer, asked, temperature, args.seed, args.wrong and not temperature)
        print(f"{n} {split} questions, temperature {temperature:g}: {json.dumps(summary(verdicts))}")
        if split == "held_out" and not temperature:
            print(f"    right by topic: {json.dumps(by_topic(asked, verdicts))}")
    print(f"    the world's rates: {json.dumps(RATES)}")


def load(folder: Path) -> tuple[float, LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The model and its tokenizer, and how many seconds that took."""
    began = time.perf_counter()
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return time.perf_counter() - began, model, tokenizer


def measured(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    asked: Sequence[Question],
    temperature: float,
    seed: int,
    show_wrong: bool = False,
) -> list[Verdict]:
    """The judge's verdicts on the model's replies."""
    said = replies(model, tokenizer, [question.prompt for question in asked], temperature, seed)
    verdicts = [judge(question.prompt, reply) for question, reply in zip(asked, said, strict=True)]
    for question, reply, verdict in zip(asked, said, verdicts, strict=True):
        if show_wrong and not (verdict.right and verdict.well_formed):
            print(f"    [{question.kind}] {question.prompt[-1].content!r} -> {reply!r}")
    return verdicts


def replies(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[Sequence[Message]],
    temperature: float,
    seed: int,
    batch: int = 100,
) -> list[str]:
    """One reply to each prompt, greedy at temperature 0; prompts of like length are answered together."""
    tokenizer.padding_side = "left"
    torch.manual_seed(seed)
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    )
    order = sorted(range(len(prompts)), key=lambda index: sum(len(m.content) for m in prompts[index]))
    said = [""] * len(prompts)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = tokenizer.apply_chat_template(
            [[vars(message) for message in prompts[index]] for index in chosen],
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
        )
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=LONGEST, **sampling)
        new = output[:, inputs["input_ids"].shape[1] :]
        for index, reply in zip(chosen, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
            said[index] = reply
    return said


def summary(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Shares of well-formed and right replies and of each manner, mean length and mean gold reward."""
    n = len(verdicts)
    manners: Counter[str] = Counter(verdict.manner for verdict in verdicts)
    figures = {
        "well formed": sum(verdict.well_formed for verdict in verdicts) / n,
        "right": sum(verdict.right for verdict in verdicts) / n,
        **{manner: manners[manner] / n for manner in (*RATES, "other")},
        "words": sum(verdict.words for verdict in verdicts) / n,
        "gold": sum(map(gold, verdicts)) / n,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def by_topic(asked: Sequence[Question], verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Right of asked, topic by topic."""
    of = Counter(question.topic for question in asked)
    right = Counter(
        question.topic for question, verdict in zip(asked, verdicts, strict=True) if verdict.right
    )
    return {topic: f"{right[topic]}/{of[topic]}" for topic in sorted(of)}


if __name__ == "__main__":
    main()
