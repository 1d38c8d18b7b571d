"""`prompt-completion`: a prompt and the reply to imitate, as texts or as lists of messages."""

from engine.examples import Demonstration, Message
from tuner_app.formats.records import Fields, Format, Record, has, tools
from tuner_app.formats.turns import only_reply, plain_prompt, prompt, to_turns


def read(record: Record) -> Demonstration:
    """A demonstration: the prompt's turns, then the completion."""
    before = prompt(record)
    reply = Message("assistant", only_reply(record, "completion", before))
    return Demonstration((*before, reply), tools(record))


def write(example: Demonstration) -> Fields:
    """The row with both as lists of messages."""
    *before, reply = example.messages
    fields: Fields = {"prompt": to_turns(tuple(before)), "completion": to_turns((reply,))}
    return fields | {"tools": example.tools} if example.tools else fields


def write_plain(example: Demonstration) -> Fields:
    """The row with both as texts."""
    *before, reply = example.messages
    fields: Fields = {"prompt": plain_prompt(tuple(before)), "completion": reply.content}
    return fields | {"tools": example.tools} if example.tools else fields


FORMAT = Format(
    name="prompt-completion",
    holds=Demonstration,
    description='{"prompt": …, "completion": …}: texts, or lists of messages',
    fields=("prompt", "completion", "system", "tools"),
    fits=lambda record: has(record, "prompt", "completion"),
    read=read,
    write=write,
    write_plain=write_plain,
)
