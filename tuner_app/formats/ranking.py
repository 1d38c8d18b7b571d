"""`ranking`: LLaMA-Factory's pairs: a conversation (or Alpaca's instruction), then chosen and rejected."""

from engine.examples import Message, Pair
from tuner_app.formats import alpaca
from tuner_app.formats.preference import pair, with_margin
from tuner_app.formats.records import Fields, Format, Record, has, listing, no_tools
from tuner_app.formats.sharegpt import to_turns
from tuner_app.formats.turns import conversation, only_reply, with_system


def read(record: Record) -> Pair:
    """A pair; the replies are texts or single turns."""
    no_tools(record)
    if has(record, "instruction"):
        before = alpaca.question(record)
    else:
        name = "conversations" if has(record, "conversations") else "messages"
        before = with_system(record, conversation(listing(record, name), f"“{name}”"))
    return pair(before, only_reply(record, "chosen"), only_reply(record, "rejected"), record)


def write(example: Pair) -> Fields:
    """The row of a pair."""
    chosen, rejected = (
        to_turns((Message("assistant", side),))[0] for side in (example.chosen, example.rejected)
    )
    fields: Fields = {"conversations": to_turns(example.prompt), "chosen": chosen, "rejected": rejected}
    return fields | with_margin(example)


FORMAT = Format(
    name="ranking",
    holds=Pair,
    description='{"conversations": […], "chosen": {"from": "gpt", "value": …}, "rejected": …}, '
    'or Alpaca\'s "instruction" and "input" for the conversation',
    fields=(
        *("conversations", "messages", "instruction", "input", "history"),
        *("system", "chosen", "rejected", "margin", "tools"),
    ),
    fits=lambda record: (
        has(record, "chosen", "rejected")
        and any(has(record, name) for name in ("conversations", "messages", "instruction"))
    ),
    read=read,
    write=write,
)
