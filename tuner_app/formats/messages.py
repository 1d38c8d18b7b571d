"""`messages`: one conversation a row, with role and content, as chat services take it."""

from engine.examples import Demonstration
from tuner_app.formats.records import Fields, Format, Record, has, listing, tools
from tuner_app.formats.turns import conversation, ending_with_reply, to_turns, with_system


def read(record: Record) -> Demonstration:
    """A demonstration; a `system` field goes before the turns."""
    turns = conversation(listing(record, "messages"), "“messages”")
    return Demonstration(with_system(record, ending_with_reply(turns, "“messages”")), tools(record))


def write(example: Demonstration) -> Fields:
    """The row of a demonstration."""
    fields: Fields = {"messages": to_turns(example.messages)}
    return fields | {"tools": example.tools} if example.tools else fields


FORMAT = Format(
    name="messages",
    holds=Demonstration,
    description='{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}',
    fields=("messages", "system", "tools"),
    fits=lambda record: has(record, "messages"),
    read=read,
    write=write,
)
