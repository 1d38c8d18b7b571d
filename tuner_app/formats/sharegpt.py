"""`sharegpt`: one conversation a row, with from and value, and tools; as LLaMA-Factory takes it."""

from engine.examples import Demonstration, Message
from tuner_app.formats.records import Fields, Format, Record, has, listing, tools
from tuner_app.formats.turns import conversation, ending_with_reply, with_system

_NAMES = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def read(record: Record) -> Demonstration:
    """A demonstration; a `system` field goes before the turns."""
    turns = conversation(listing(record, "conversations"), "“conversations”")
    return Demonstration(with_system(record, ending_with_reply(turns, "“conversations”")), tools(record))


def write(example: Demonstration) -> Fields:
    """The row of a demonstration."""
    fields: Fields = {"conversations": to_turns(example.messages)}
    return fields | {"tools": example.tools} if example.tools else fields


def to_turns(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    """`messages` as from and value; an assistant's turn that a tool answers is a function call."""
    return [
        {"from": _name(message, messages[after : after + 1]), "value": message.content}
        for after, message in enumerate(messages, 1)
    ]


def _name(message: Message, following: tuple[Message, ...]) -> str:
    called = message.role == "assistant" and any(answer.role == "tool" for answer in following)
    return "function_call" if called else _NAMES[message.role]


FORMAT = Format(
    name="sharegpt",
    holds=Demonstration,
    description='{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}',
    fields=("conversations", "system", "tools"),
    fits=lambda record: has(record, "conversations"),
    read=read,
    write=write,
)
