"""`kto-tag`: a conversation whose last reply is marked good or bad, as LLaMA-Factory takes it."""

from engine.examples import Message, Rated
from tuner_app.formats import alpaca
from tuner_app.formats.records import Fields, Format, Record, has, label, listing, no_tools, reply
from tuner_app.formats.turns import conversation, ending_with_reply, to_turns, with_system


def read(record: Record) -> Rated:
    """A rated reply: the last turn of the conversation, or Alpaca's output."""
    no_tools(record)
    good = label(record, "kto_tag" if has(record, "kto_tag") else "label")
    if has(record, "instruction"):
        return Rated(alpaca.question(record), reply(record, "output"), good)
    name = "messages" if has(record, "messages") else "conversations"
    turns = ending_with_reply(conversation(listing(record, name), f"“{name}”"), f"“{name}”")
    return Rated(with_system(record, turns[:-1]), turns[-1].content, good)


def write(example: Rated) -> Fields:
    """The row of a rated reply."""
    turns = (*example.prompt, Message("assistant", example.reply))
    return {"messages": to_turns(turns), "label": example.good}


def fits(record: Record) -> bool:
    """Alpaca needs `kto_tag` by name: a `label` beside an instruction is often a class."""
    if has(record, "instruction", "output", "kto_tag"):
        return True
    tagged = has(record, "label") or has(record, "kto_tag")
    return tagged and (has(record, "messages") or has(record, "conversations"))


FORMAT = Format(
    name="kto-tag",
    holds=Rated,
    description='{"messages": […], "label": true or false}; also "conversations", and "kto_tag"',
    fields=(
        *("messages", "conversations", "instruction", "input", "output", "history"),
        *("system", "label", "kto_tag", "tools"),
    ),
    fits=fits,
    read=read,
    write=write,
)
