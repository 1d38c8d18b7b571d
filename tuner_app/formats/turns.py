"""Conversations inside a row: lists of turns, in OpenAI's and in ShareGPT's names."""

import json
from typing import Any

from engine.examples import Message, Role
from tuner_app.formats.json_text import JSONError, loads
from tuner_app.formats.records import Record, Refused, clean, describe, optional, spoken, text

# ShareGPT's `function_call` is what the model says to call a tool: an assistant's turn.
_ROLES: dict[str, Role] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "observation": "tool",
}
_LOST = ("tool_calls", "function_call", "images", "audio")


def conversation(turns: list[Any], where: str) -> tuple[Message, ...]:
    """Messages from turns with role and content, or from and value."""
    return tuple(_turn(turn, f"turn {number} of {where}") for number, turn in enumerate(turns, 1))


def _turn(turn: Any, where: str) -> Message:
    if not isinstance(turn, dict):
        raise Refused(f"{where} is {describe(turn)}, not an object with role and content")
    name = _either(turn, "role", "from", where)
    role = _ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        raise Refused(f"{where} has the unknown role {json.dumps(name, ensure_ascii=False)[:60]}")
    if lost := [key for key in _LOST if turn.get(key)]:
        raise Refused(f"{where} carries {lost[0]}, which would be lost: write it into the content")
    if turn.get("weight") == 0:
        raise Refused(f"{where} has weight 0: turns that are not to be learnt cannot be marked here")
    content = clean(_either(turn, "content", "value", where), f"the content of {where}")
    return Message(role, spoken(content, f"the content of {where}") if role == "assistant" else content)


def _either(turn: dict[str, Any], name: str, other: str, where: str) -> Any:
    if name not in turn and other not in turn:
        raise Refused(f"{where} has no “{name}”")
    return turn[name] if name in turn else turn[other]


def with_system(record: Record, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """`messages` after the row's own system text, where it has one."""
    system = optional(record, "system")
    if not system:
        return messages
    if messages and messages[0].role == "system":
        raise Refused("it has two system texts: “system” and a first turn")
    return (Message("system", system), *messages)


def ending_with_reply(messages: tuple[Message, ...], where: str) -> tuple[Message, ...]:
    """`messages`, if there are any and the last is the assistant's."""
    if not messages:
        raise Refused(f"{where} is empty")
    if messages[-1].role != "assistant":
        raise Refused(f"{where} ends with the {messages[-1].role}, not with the assistant's reply")
    return messages


def prompt(record: Record) -> tuple[Message, ...]:
    """The prompt: a text is one user's turn (an empty one none), a list is a conversation."""
    value = said(record, "prompt")
    if isinstance(value, str):
        return with_system(record, (Message("user", value),) if value else ())
    return with_system(record, value)


def said(record: Record, name: str) -> str | tuple[Message, ...]:
    """A field that is a text, one turn, or a list of turns; in a table the latter two as JSON."""
    value = record.fields.get(name)
    if record.table and isinstance(value, str) and looks_like_turns(value):
        value = loads(value)
    if isinstance(value, list):
        return conversation(value, f"“{name}”")
    if isinstance(value, dict):
        return conversation([value], f"“{name}”")
    return text(record, name)


def looks_like_turns(value: str) -> bool:
    """Whether a cell's text is the JSON of turns rather than something said."""
    if not value.startswith(("[{", "{")):
        return False
    try:
        turns = loads(value)
    except JSONError:
        return False
    turns = turns if isinstance(turns, list) else [turns]
    return all(
        isinstance(turn, dict) and ({"role", "content"} <= set(turn) or {"from", "value"} <= set(turn))
        for turn in turns
    )


def only_reply(record: Record, name: str, before: tuple[Message, ...] = ()) -> str:
    """The one reply in a field: its text, or an assistant's turn, alone or after the prompt `before`."""
    value = said(record, name)
    if isinstance(value, str):
        return spoken(value, f"“{name}”")
    turns = ending_with_reply(value, f"“{name}”")
    if turns[:-1] not in ((), before):
        raise Refused(f"“{name}” is {len(turns)} turns, not one reply to the prompt")
    return turns[-1].content


def to_turns(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    """`messages` as role and content."""
    return [{"role": message.role, "content": message.content} for message in messages]


def plain_prompt(messages: tuple[Message, ...]) -> str | None:
    """The prompt as one text, or None where it would not read back as the same."""
    if not messages:
        return ""
    if len(messages) > 1 or messages[0].role != "user" or not messages[0].content:
        return None
    return messages[0].content
