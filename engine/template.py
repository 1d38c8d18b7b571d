"""Chat templates: conversations to token ids, the same for training as for chat.

A prompt for the model is always the template's text up to where the assistant's reply begins. A reply is
what the template adds after that, up to and with the token that ends it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

from engine.errors import UserError
from engine.examples import Message

FALLBACK = Path(__file__).with_name("fallback.jinja")
MARKERS = re.compile(r"\{%-?\s*generation\s*-?%\}")


@dataclass(frozen=True)
class Template:
    """A chat template bound to a tokenizer.

    `text` is its Jinja source and `source` says where it is from. `end_tokens` are the ids that end a
    reply.
    """

    text: str
    source: Literal["tokenizer", "trl", "override", "fallback"]
    tokenizer: Any
    end_tokens: tuple[int, ...]

    def prompt(self, messages: Sequence[Message], tools: str = "") -> list[int]:
        """Token ids of the conversation up to where the assistant is to reply."""
        return self._encode(self._render(messages, tools, to_continue=True))

    def reply(self, prompt: Sequence[Message], reply: str, tools: str = "") -> tuple[list[int], list[int]]:
        """Token ids of `prompt`, as chat has them, and of `reply` with its end token."""
        asked = self._render(prompt, tools, to_continue=True)
        whole = self._render([*prompt, Message("assistant", reply)], tools)
        if not whole.startswith(asked):
            raise UserError(
                "The chat template does not put a reply where its prompt ends.",
                do="Give another template: its text before a reply must not depend on the reply.",
            )
        prompt_ids = self._encode(asked)
        return prompt_ids, self._ended(self._extend(prompt_ids, asked, whole)[len(prompt_ids) :])

    def conversation(
        self, messages: Sequence[Message], tools: str = "", *, last_turn_only: bool = False
    ) -> tuple[list[int], list[bool]]:
        """Token ids of a conversation that ends with a reply, and which of them are the assistant's.

        With `last_turn_only`, only the last reply's are. Raises UserError when the template neither
        grows by appending nor marks the assistant's text with `{% generation %}`.
        """
        text, spans = self._replies(messages, tools)
        ids: list[int] = []
        trained: list[bool] = []
        done = ""
        for number, (start, end) in enumerate(spans, start=1):
            last = number == len(spans)
            if not last:  # white space after an end token belongs to what follows, as the next prompt has it
                end = max(start, len(text[:end].rstrip()))
            before = self._extend(ids, done, text[:start])
            after = self._extend(before, text[:start], text[:end])
            reply = after[len(before) :]
            if last:
                reply = self._ended(reply)
            kept = self._length_to_end(reply) if last or not last_turn_only else 0
            trained += [False] * (len(before) - len(ids)) + [i < kept for i in range(len(reply))]
            ids, done = before + reply, text[:end]
        return ids, trained

    def _replies(self, messages: Sequence[Message], tools: str) -> tuple[str, list[tuple[int, int]]]:
        """The rendered conversation and the (start, end) of each reply in it, in characters."""
        whole = self._render(messages, tools)
        spans = []
        for turn, message in enumerate(messages):
            if message.role == "assistant":
                before = self._render(messages[:turn], tools, to_continue=True)
                after = self._render(messages[: turn + 1], tools)
                if not (whole.startswith(after) and after.startswith(before)):
                    return self._marked(messages, tools)
                spans.append((len(before), len(after)))
        return whole, spans

    def _marked(self, messages: Sequence[Message], tools: str) -> tuple[str, list[tuple[int, int]]]:
        if not MARKERS.search(self.text):
            raise UserError(
                "The chat template rewrites earlier turns and does not mark the assistant's text, so "
                "what to train on cannot be told.",
                do="Train on the last turn of each conversation alone, or give a template with "
                "{% generation %} … {% endgeneration %} around the assistant's text.",
            )
        return self._jinja(messages, tools, return_assistant_tokens_mask=True)

    def _render(self, messages: Sequence[Message], tools: str, *, to_continue: bool = False) -> str:
        return self._jinja(messages, tools, add_generation_prompt=to_continue)[0]

    def _jinja(
        self, messages: Sequence[Message], tools: str, **how: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        """The rendered text and, if asked for, the (start, end) of what is marked; in Jinja's sandbox."""
        try:
            texts, spans = render_jinja_template(
                conversations=[[{"role": message.role, "content": message.content} for message in messages]],
                tools=json.loads(tools) if tools else None,
                chat_template=self.text,
                **how,
                **self.tokenizer.special_tokens_map,
            )
        except (TemplateError, TypeError, KeyError, IndexError, ValueError) as error:
            raise UserError(
                f"The chat template cannot render a conversation: {error}",
                do="Mend the conversation (roles and their order must be ones it knows) or the template.",
            ) from error
        return texts[0], spans[0] if spans else []

    def _encode(self, text: str) -> list[int]:
        try:
            return list(self.tokenizer.encode(text, add_special_tokens=False))
        except (UnicodeEncodeError, TypeError) as error:
            raise UserError(
                "A text holds half of a surrogate pair, which is no character.", do="Mend that text."
            ) from error

    def _extend(self, ids: list[int], before: str, after: str) -> list[int]:
        """Token ids of `after` that begin with `ids`, those of `before`.

        Where the tokenizer would merge across the seam the rest is encoded on its own: the model replies
        to the prompt's tokens as they are.
        """
        whole = self._encode(after)
        return whole if whole[: len(ids)] == ids else ids + self._encode(after[len(before) :])

    def _length_to_end(self, reply: list[int]) -> int:
        """How many tokens the model itself writes: those up to the first that ends a reply."""
        return next((i for i, token in enumerate(reply, start=1) if token in self._ends), len(reply))

    def _ended(self, reply: list[int]) -> list[int]:
        """A last reply up to its end token, which is added where the template gives none."""
        kept = reply[: self._length_to_end(reply)]
        if self.end_tokens and not (kept and kept[-1] in self._ends):
            kept.append(self.end_tokens[0])
        return kept

    @cached_property
    def _ends(self) -> frozenset[int]:
        return frozenset(self.end_tokens)


def template_for(
    tokenizer: Any,
    override: str | None = None,
    *,
    end_tokens: Sequence[int] = (),
    training: bool = False,
) -> Template:
    """The template to use with `tokenizer`: `override` if given, the tokenizer's own, or our fallback.

    `end_tokens` default to the tokenizer's. With `training`, a template of the tokenizer that rewrites
    earlier turns gives way to TRL's training version of it, where TRL has one.
    """
    ends = tuple(end_tokens) or tuple(i for i in [tokenizer.eos_token_id] if i is not None)
    if override:
        return Template(override, "override", tokenizer, ends)
    if not tokenizer.chat_template:
        return Template(FALLBACK.read_text(encoding="utf-8"), "fallback", tokenizer, ends)
    own = Template(tokenizer.get_chat_template(), "tokenizer", tokenizer, ends)
    if training and not _grows(own) and (text := _from_trl(tokenizer)):
        return Template(text, "trl", tokenizer, ends)
    return own


def _grows(template: Template) -> bool:
    """Whether the assistant's tokens can be told in a conversation of two turns."""
    turns = [Message(role, text) for role, text in [("user", "a"), ("assistant", "b")] * 2]  # type: ignore[arg-type]
    try:
        template.conversation(turns)
    except UserError:
        return False
    return True


def _from_trl(tokenizer: Any) -> str | None:
    from trl.chat_template_utils import get_training_chat_template

    try:
        text: str | None = get_training_chat_template(tokenizer)
    except ValueError:
        return None
    return text
