"""`hh-rlhf`: two whole transcripts a row, alike up to the last reply (Bai et al., arXiv:2204.05862).

A transcript is text: every turn begins with a blank line and "Human:" or "Assistant:", then one space.
"""

import re

from engine.examples import Message, Pair, Role
from tuner_app.formats.preference import pair
from tuner_app.formats.records import Fields, Format, Record, Refused, has, spoken, text

_TURN = re.compile(r"\n\n(Human|Assistant):")
_NAMES: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}


def read(record: Record) -> Pair:
    """A pair; both transcripts have to have the same turns before the last."""
    chosen, rejected = _transcript(record, "chosen"), _transcript(record, "rejected")
    if chosen[:-1] != rejected[:-1]:
        raise Refused("the prompts differ: “chosen” and “rejected” are not alike up to the last reply")
    return pair(chosen[:-1], chosen[-1].content, rejected[-1].content, record)


def _transcript(record: Record, name: str) -> tuple[Message, ...]:
    first, *pieces = _TURN.split(text(record, name))
    if first or not pieces:
        raise Refused(f"“{name}” does not begin with a blank line and “Human:” or “Assistant:”")
    turns = tuple(
        Message(_NAMES[who], said.removeprefix(" "))
        for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    )
    if turns[-1].role != "assistant":
        raise Refused(f"“{name}” ends with the human, not with the assistant's reply")
    spoken(turns[-1].content, f"the last reply of “{name}”")
    return turns


def write(example: Pair) -> Fields:
    """The row of a pair; only turns of user and assistant fit."""
    if any(message.role not in ("user", "assistant") for message in example.prompt):
        raise Refused("a transcript has no place for a system text or a tool")
    if example.margin is not None:
        raise Refused("a transcript has no place for a margin")
    names = {"user": "Human", "assistant": "Assistant"}
    before = "".join(f"\n\n{names[message.role]}: {message.content}" for message in example.prompt)
    return {
        name: f"{before}\n\nAssistant: {said}"
        for name, said in (("chosen", example.chosen), ("rejected", example.rejected))
    }


def fits(record: Record) -> bool:
    """Two texts that begin as transcripts do."""
    sides = [record.fields.get(name) for name in ("chosen", "rejected")]
    return not has(record, "prompt") and all(isinstance(side, str) and _TURN.match(side) for side in sides)


FORMAT = Format(
    name="hh-rlhf",
    holds=Pair,
    description='{"chosen": "\\n\\nHuman: …\\n\\nAssistant: …", "rejected": …}: whole transcripts',
    fields=("chosen", "rejected"),
    fits=fits,
    read=read,
    write=write,
)
