"""`unpaired`: a prompt, a completion, and whether it was good; texts or lists of messages."""

from engine.examples import Message, Rated
from tuner_app.formats.records import Fields, Format, Record, has, label, no_tools
from tuner_app.formats.turns import only_reply, plain_prompt, prompt, to_turns


def read(record: Record) -> Rated:
    """A rated reply."""
    no_tools(record)
    before = prompt(record)
    return Rated(before, only_reply(record, "completion", before), label(record, "label"))


def write(example: Rated) -> Fields:
    """The row with texts as lists of messages."""
    reply = to_turns((Message("assistant", example.reply),))
    return {"prompt": to_turns(example.prompt), "completion": reply, "label": example.good}


def write_plain(example: Rated) -> Fields:
    """The row with texts."""
    return {"prompt": plain_prompt(example.prompt), "completion": example.reply, "label": example.good}


FORMAT = Format(
    name="unpaired",
    holds=Rated,
    description='{"prompt": …, "completion": …, "label": true or false}: texts, or lists of messages',
    fields=("prompt", "completion", "label", "system", "tools"),
    fits=lambda record: has(record, "prompt", "completion", "label"),
    read=read,
    write=write,
    write_plain=write_plain,
)
