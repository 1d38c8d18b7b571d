"""`alpaca`: an instruction, perhaps an input, and the output; earlier turns in `history`."""

from typing import Any

from engine.examples import Demonstration, Message
from tuner_app.formats.records import (
    Fields,
    Format,
    Record,
    Refused,
    clean,
    has,
    listing,
    no_tools,
    optional,
    reply,
    text,
)
from tuner_app.formats.turns import with_system


def question(record: Record) -> tuple[Message, ...]:
    """System text, history and the instruction, with its input on the next line."""
    asked, given = text(record, "instruction"), optional(record, "input")
    turns = [turn for pair in listing(record, "history") for turn in _exchange(pair)]
    last = Message("user", f"{asked}\n{given}" if asked and given else asked or given)
    return with_system(record, (*turns, last))


def _exchange(pair: Any) -> tuple[Message, Message]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Refused("“history” is not a list of pairs of question and answer")
    asked, answered = (clean(text, "a turn of “history”") for text in pair)
    return Message("user", asked), Message("assistant", answered)


def read(record: Record) -> Demonstration:
    """A demonstration of the output."""
    no_tools(record)
    return Demonstration((*question(record), Message("assistant", reply(record, "output"))))


def write(example: Demonstration) -> Fields:
    """The row; only a system text and then pairs of user and assistant fit."""
    if example.tools:
        raise Refused("it offers tools")
    turns = list(example.messages)
    system = turns.pop(0).content if turns[0].role == "system" else ""
    if [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2):
        raise Refused("its turns are not user and assistant by turns")
    texts = [turn.content for turn in turns]
    fields: Fields = {"instruction": texts[-2], "input": "", "output": texts[-1]}
    if system:
        fields["system"] = system
    if texts[:-2]:
        fields["history"] = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return fields


FORMAT = Format(
    name="alpaca",
    holds=Demonstration,
    description='{"instruction": …, "input": …, "output": …}, optionally "system" and "history"',
    fields=("instruction", "input", "output", "system", "history", "tools"),
    fits=lambda record: has(record, "instruction", "output"),
    read=read,
    write=write,
)
