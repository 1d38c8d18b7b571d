"""Prompts, replies and masks by several kinds of template."""

from collections.abc import Sequence
from typing import Any

import pytest
import tiny

from engine.errors import UserError
from engine.examples import Message
from engine.template import Template, template_for

TALK = (
    Message("user", "What colour is a lemon?"),
    Message("assistant", "A lemon is yellow."),
    Message("user", "And the fox?\n"),
    Message("assistant", "Brown. "),
)
CHATML = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Shows of each earlier reply its last word alone, as templates do that drop an answer's reasoning.
FORGETFUL = (
    "{% for message in messages %}<|{{ message.role }}|>"
    "{% if message.role == 'assistant' and not loop.last %}{{ message.content.split(' ')[-1] }}"
    "{% else %}{{ message.content }}{% endif %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
FORGETFUL_MARKED = FORGETFUL.replace(
    "{% else %}",
    "{% elif message.role == 'assistant' %}"
    "{% generation %}{{ message.content }}<|end|>{% endgeneration %}{% else %}",
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.make_tokenizer()


@pytest.fixture(scope="module")
def bare() -> Any:
    return tiny.make_tokenizer(template=False)


def trained_text(template: Template, ids: Sequence[int], trained: Sequence[bool]) -> list[str]:
    """The runs of trained tokens, as text."""
    runs: list[list[int]] = []
    for number, (token, marked) in enumerate(zip(ids, trained, strict=True)):
        if marked and not (number and trained[number - 1]):
            runs.append([])
        if marked:
            runs[-1].append(token)
    return [template.tokenizer.decode(run) for run in runs]


@pytest.mark.parametrize(
    ("override", "source"), [(None, "tokenizer"), (CHATML, "override"), ("bare", "fallback")]
)
def test_conversations_train_replies_with_their_end_and_nothing_else(
    tokenizer: Any, bare: Any, override: str | None, source: str
) -> None:
    template = template_for(bare) if override == "bare" else template_for(tokenizer, override)
    assert template.source == source
    ids, trained = template.conversation(TALK)
    assert trained_text(template, ids, trained) == ["A lemon is yellow.<|end|>", "Brown. <|end|>"]
    ids, trained = template.conversation(TALK, last_turn_only=True)
    assert trained_text(template, ids, trained) == ["Brown. <|end|>"]


@pytest.mark.parametrize("override", [None, CHATML])
def test_training_sees_what_chat_sends(tokenizer: Any, override: str | None) -> None:
    template = template_for(tokenizer, override)
    prompt, reply = template.reply(TALK[:3], "Brown. ")
    assert prompt == template.prompt(TALK[:3])
    assert template.conversation(TALK)[0] == prompt + reply
    assert reply[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(reply[:-1]) == "Brown. "


def test_white_space_after_a_reply_is_cut_as_the_next_prompt_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Where “\n\n” is a token, it is one at the end of a text and two tokens before a word.
    monkeypatch.setattr(tiny, "TEXT", ["a.\n\n", "b\n\n"] * 4)
    tokenizer = tiny.make_tokenizer(template=False)
    assert len(tokenizer.encode("\n\n")) == 1
    template = template_for(tokenizer)
    prompt, reply = template.reply(TALK[:3], "Brown.")
    assert template.conversation((*TALK[:3], Message("assistant", "Brown.")))[0] == prompt + reply


def test_the_prompt_s_tokens_stay_as_they_are_when_a_reply_would_merge_with_them(bare: Any) -> None:
    # “quick” is one token of this tokenizer, and chat has sent “qu” when the reply begins.
    glued = "{% for message in messages %}{{ message.content }}{% endfor %}"
    template = template_for(bare, glued)
    asked = (Message("user", "The qu"),)
    prompt, reply = template.reply(asked, "ick")
    assert prompt == template.prompt(asked)
    assert bare.encode("The quick", add_special_tokens=False)[: len(prompt)] != prompt
    assert bare.decode(prompt + reply) == "The quick<|end|>"


def test_a_missing_end_token_is_added_to_the_last_reply(tokenizer: Any) -> None:
    template = template_for(tokenizer, "{% for message in messages %}[{{ message.content }}]{% endfor %}")
    ids, trained = template.conversation(TALK)
    assert ids[-1] == tokenizer.eos_token_id
    assert trained[-1]


def test_an_empty_prompt_can_be_replied_to(tokenizer: Any) -> None:
    prompt, reply = template_for(tokenizer).reply((), "Hello!")
    assert tokenizer.decode(prompt + reply) == "<s><|assistant|>Hello!<|end|>"


def test_a_template_that_rewrites_earlier_turns_needs_markers(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="rewrites earlier turns"):
        template_for(tokenizer, FORGETFUL).conversation(TALK)
    template = template_for(tokenizer, FORGETFUL_MARKED)
    assert trained_text(template, *template.conversation(TALK)) == ["Brown. <|end|>"]


def test_trl_s_training_template_replaces_a_known_one_that_rewrites_turns() -> None:
    from pathlib import Path

    import trl.chat_template_utils

    folder = Path(trl.chat_template_utils.__file__).parent / "chat_templates"
    tokenizer = tiny.make_tokenizer()
    tokenizer.chat_template = (folder / "qwen3.jinja").read_text(encoding="utf-8")
    assert template_for(tokenizer).source == "tokenizer"
    template = template_for(tokenizer, training=True)
    assert template.source == "trl"
    ids, trained = template.conversation(TALK)
    found = trained_text(template, ids, trained)
    assert len(found) == 2
    assert "A lemon is yellow.<|im_end|>" in found[0]


def test_what_a_template_refuses_is_told(tokenizer: Any) -> None:
    strict = "{{ raise_exception('no system role here') }}"
    with pytest.raises(UserError, match="no system role here"):
        template_for(tokenizer, strict).prompt(TALK[:1])
    with pytest.raises(UserError, match="cannot render"):
        template_for(tokenizer, "{% for %}").prompt(TALK[:1])


def test_half_a_surrogate_pair_is_told(tokenizer: Any) -> None:
    with pytest.raises(UserError, match="surrogate"):
        template_for(tokenizer).prompt((Message("user", "\ud800"),))


def test_tools_reach_the_template(tokenizer: Any) -> None:
    text = "{% for tool in tools %}{{ tool.name }}{% endfor %}"
    template = template_for(tokenizer, text)
    assert tokenizer.decode(template.prompt(TALK[:1], '[{"name": "fox"}]')) == "fox"
