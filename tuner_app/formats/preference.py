"""`preference`: a prompt, the reply that was chosen and the one that was not; texts or lists of messages."""

from engine.examples import Message, Pair
from tuner_app.formats.records import Fields, Format, Record, Refused, has, margin, no_tools
from tuner_app.formats.turns import (
    ending_with_reply,
    only_reply,
    plain_prompt,
    prompt,
    said,
    to_turns,
    with_system,
)


def read(record: Record) -> Pair:
    """A pair; without `prompt`, it is what both lists of messages begin with, and two texts have none."""
    no_tools(record)
    if has(record, "prompt"):
        before = prompt(record)
        return pair(
            before, only_reply(record, "chosen", before), only_reply(record, "rejected", before), record
        )
    sides = [_turns(record, name) for name in ("chosen", "rejected")]
    if sides[0][:-1] != sides[1][:-1]:
        raise Refused("the prompts differ: “chosen” and “rejected” part before their last turn")
    return pair(with_system(record, sides[0][:-1]), sides[0][-1].content, sides[1][-1].content, record)


def _turns(record: Record, name: str) -> tuple[Message, ...]:
    value = said(record, name)
    if isinstance(value, str):
        return (Message("assistant", only_reply(record, name)),)
    return ending_with_reply(value, f"“{name}”")


def pair(before: tuple[Message, ...], chosen: str, rejected: str, record: Record) -> Pair:
    """The pair, if its replies differ."""
    if chosen == rejected:
        raise Refused("both replies are the same")
    return Pair(before, chosen, rejected, margin(record))


def write(example: Pair) -> Fields:
    """The row with everything as lists of messages."""
    fields: Fields = {
        "prompt": to_turns(example.prompt),
        "chosen": to_turns((Message("assistant", example.chosen),)),
        "rejected": to_turns((Message("assistant", example.rejected),)),
    }
    return fields | with_margin(example)


def write_plain(example: Pair) -> Fields:
    """The row with everything as texts."""
    fields: Fields = {
        "prompt": plain_prompt(example.prompt),
        "chosen": example.chosen,
        "rejected": example.rejected,
    }
    return fields | with_margin(example)


def with_margin(example: Pair) -> Fields:
    """The field `margin`, if the pair has one."""
    return {} if example.margin is None else {"margin": example.margin}


FORMAT = Format(
    name="preference",
    holds=Pair,
    description='{"prompt": …, "chosen": …, "rejected": …}: texts, or lists of messages',
    fields=("prompt", "chosen", "rejected", "system", "margin", "tools"),
    fits=lambda record: has(record, "chosen", "rejected"),
    read=read,
    write=write,
    write_plain=write_plain,
)
