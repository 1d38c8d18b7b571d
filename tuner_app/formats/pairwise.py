"""`pairwise`: two replies side by side and the name of the better one: tables of human judgements."""

import json

from engine.examples import Pair
from tuner_app.formats import alpaca
from tuner_app.formats.preference import pair, with_margin
from tuner_app.formats.records import Fields, Format, Record, Refused, describe, has, no_tools, reply
from tuner_app.formats.turns import plain_prompt, prompt

_A = ("a", "1", "a1", "left", "first", "model_a", "response1", "response_a", "output_1")
_B = ("b", "2", "a2", "right", "second", "model_b", "response2", "response_b", "output_2")
_TIE = ("0", "tie", "both", "neither", "equal", "tie (bothbad)", "both_bad", "bothbad", "none", "")


def read(record: Record) -> Pair:
    """A pair; `winner` names the better side (a, 1, a1, left, first … or b, 2, a2, right, second …)."""
    no_tools(record)
    before = alpaca.question(record) if has(record, "instruction") else ()
    before = prompt(record) if has(record, "prompt") else before
    sides = {"a": reply(record, "a"), "b": reply(record, "b")}
    better = _winner(record)
    return pair(before, sides[better], sides["b" if better == "a" else "a"], record)


def _winner(record: Record) -> str:
    value = record.fields.get("winner")
    word = (value if isinstance(value, str) else "" if value is None else describe(value)).strip().lower()
    if word in _TIE:
        raise Refused("a tie: no pair")
    if word not in _A + _B:
        raise Refused(f"“winner” is {json.dumps(value, ensure_ascii=False)[:60]}, which names neither side")
    return "a" if word in _A else "b"


def write(example: Pair) -> Fields:
    """The row of a pair, the better reply first."""
    before = plain_prompt(example.prompt)
    if before is None:
        raise Refused("its prompt is more than one user's turn")
    fields: Fields = {"prompt": before, "a": example.chosen, "b": example.rejected, "winner": "a"}
    return fields | with_margin(example)


FORMAT = Format(
    name="pairwise",
    holds=Pair,
    description='{"prompt": …, "a": …, "b": …, "winner": "a" or "b"}; a tie gives no pair',
    fields=("prompt", "instruction", "input", "history", "system", "a", "b", "winner", "margin", "tools"),
    fits=lambda record: has(record, "a", "b", "winner"),
    read=read,
    write=write,
)
