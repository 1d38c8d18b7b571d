"""`pairwise`: two replies side by side and the name of the better one: tables of human judgements."""

import json

from engine.examples import Pair
from tuner_app.formats import alpaca, preference
from tuner_app.formats.preference import pair
from tuner_app.formats.records import Fields, Format, Record, Refused, describe, has, no_tools
from tuner_app.formats.turns import only_reply, prompt

_A = ("a", "1", "a1", "left", "first", "model_a", "response1", "response_a", "output_1")
_B = ("b", "2", "a2", "right", "second", "model_b", "response2", "response_b", "output_2")
_TIE = ("0", "tie", "both", "neither", "equal", "tie (bothbad)", "both_bad", "bothbad", "none", "")


def read(record: Record) -> Pair:
    """A pair; `winner` names the better side (a, 1, a1, left, first … or b, 2, a2, right, second …)."""
    no_tools(record)
    before = alpaca.question(record) if has(record, "instruction") else ()
    before = prompt(record) if has(record, "prompt") else before
    sides = {name: only_reply(record, name, before) for name in ("a", "b")}
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
    """The row with everything as lists of messages, the better reply first."""
    return _with_winner(preference.write(example))


def write_plain(example: Pair) -> Fields:
    """The row with everything as texts, the better reply first."""
    return _with_winner(preference.write_plain(example))


def _with_winner(row: Fields) -> Fields:
    sides = {"chosen": "a", "rejected": "b"}
    return {sides.get(name, name): value for name, value in row.items()} | {"winner": "a"}


FORMAT = Format(
    name="pairwise",
    holds=Pair,
    description='{"prompt": …, "a": …, "b": …, "winner": "a" or "b"}; a tie gives no pair',
    fields=("prompt", "instruction", "input", "history", "system", "a", "b", "winner", "margin", "tools"),
    fits=lambda record: has(record, "a", "b", "winner"),
    read=read,
    write=write,
    write_plain=write_plain,
)
