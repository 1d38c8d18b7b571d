"""What each format makes of a row, and the reason with which it refuses one."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.examples import Demonstration, Example, Message, Pair, Rated
from tuner_app.formats import Refusal, Row, read

USER, REPLY = Message("user", "q"), Message("assistant", "a")
TURNS = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
SHARED = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
SAID_AS_JSON = Demonstration((Message("user", "[{}]"), Message("assistant", json.dumps(TURNS))))
WORSE = [TURNS[0], {"role": "assistant", "content": "b"}]


def only(tmp_path: Path, row: Any, kind: str | None = None) -> Row | Refusal:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    (found,) = read(path, kind=kind)
    return found


@pytest.mark.parametrize(
    ("row", "example"),
    [
        ({"messages": TURNS, "system": "s"}, Demonstration((Message("system", "s"), USER, REPLY))),
        ({"messages": TURNS, "tools": [{"name": "t"}]}, Demonstration((USER, REPLY), '[{"name": "t"}]')),
        ({"prompt": "q", "completion": "a", "extra": 1}, Demonstration((USER, REPLY))),
        ({"prompt": "[{}]", "completion": json.dumps(TURNS)}, SAID_AS_JSON),
        ({"prompt": TURNS[:1], "completion": TURNS[1:]}, Demonstration((USER, REPLY))),
        ({"prompt": "Q: q\nA: a\nTrue:", "completion": " no"}, Rated((USER,), "a", False)),
        ({"prompt": "Q: q\nA: a\nHelpful:", "completion": " yes"}, Rated((USER,), "a", True)),
        ({"prompt": "q", "completion": " yes\n"}, Demonstration((USER, Message("assistant", " yes\n")))),
        (
            {"instruction": "q", "input": "i", "output": "a", "system": "s", "history": [["x", "y"]]},
            Demonstration(
                (
                    Message("system", "s"),
                    Message("user", "x"),
                    Message("assistant", "y"),
                    Message("user", "q\ni"),
                    REPLY,
                )
            ),
        ),
        ({"instruction": "q", "input": None, "output": "a"}, Demonstration((USER, REPLY))),
        (
            {
                "conversations": [
                    {"from": "human", "value": "q"},
                    {"from": "function_call", "value": "{}"},
                    {"from": "observation", "value": "1"},
                    {"from": "gpt", "value": "a"},
                ],
                "tools": "[]",
            },
            Demonstration((USER, Message("assistant", "{}"), Message("tool", "1"), REPLY), "[]"),
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, Pair((USER,), "a", "b")),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "margin": 2}, Pair((USER,), "a", "b", 2.0)),
        ({"prompt": "q", "chosen": TURNS, "rejected": WORSE}, Pair((USER,), "a", "b")),
        ({"chosen": TURNS, "rejected": WORSE}, Pair((USER,), "a", "b")),
        ({"chosen": "a", "rejected": "b"}, Pair((), "a", "b")),
        ({"conversations": SHARED[:1], "chosen": SHARED[1], "rejected": "b"}, Pair((USER,), "a", "b")),
        ({"instruction": "q", "chosen": "a", "rejected": "b"}, Pair((USER,), "a", "b")),
        ({"messages": TURNS, "label": False}, Rated((USER,), "a", False)),
        ({"conversations": SHARED, "kto_tag": True}, Rated((USER,), "a", True)),
        ({"instruction": "q", "output": "a", "kto_tag": True}, Rated((USER,), "a", True)),
        ({"prompt": "q", "completion": "a", "label": 1}, Rated((USER,), "a", True)),
        ({"prompt": "q", "completion": "a", "label": "Unsafe"}, Rated((USER,), "a", False)),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant:  a ", "rejected": "\n\nHuman: q\n\nAssistant: b"},
            Pair((USER,), " a ", "b"),
        ),
        ({"a": "a", "b": "b", "winner": 2}, Pair((), "b", "a")),
        ({"prompt": "q", "a": "a", "b": "b", "winner": "model_a"}, Pair((USER,), "a", "b")),
    ],
)
def test_a_row_becomes_its_example(row: dict[str, Any], example: Example, tmp_path: Path) -> None:
    assert only(tmp_path, row) == Row(1, example)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"messages": []}, "“messages” is empty"),
        ({"messages": TURNS[:1]}, "“messages” ends with the user, not with the assistant's reply"),
        ({"messages": "q"}, "“messages” is text that is not a list in JSON"),
        ({"messages": ["q"]}, "turn 1 of “messages” is a text, not an object with role and content"),
        ({"messages": [{"role": "narrator", "content": "q"}]}, 'has the unknown role "narrator"'),
        ({"messages": [{"role": ["user"], "content": "q"}]}, 'has the unknown role ["user"]'),
        ({"messages": [{"content": "q"}]}, "turn 1 of “messages” has no “role”"),
        ({"messages": [{"role": "user", "content": None}]}, "turn 1 of “messages” is null, not text"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": " \n"}]}, "turn 2 of “messages” is empty"),
        ({"messages": [{"role": "assistant", "content": "", "tool_calls": [1]}]}, "carries tool_calls"),
        ({"messages": [{"role": "assistant", "content": "a", "weight": 0}]}, "has weight 0"),
        ({"messages": [{"role": "system", "content": "x"}, *TURNS], "system": "s"}, "two system texts"),
        ({"messages": TURNS, "tools": "{"}, "“tools” is text that is not a list"),
        ({"prompt": "q", "completion": ""}, "“completion” is empty"),
        ({"prompt": 5, "completion": "a"}, "“prompt” is 5, not text"),
        ({"prompt": "q", "completion": "a\0"}, "“completion” holds a NUL character"),
        ({"prompt": "q\ud800", "completion": "a"}, "“prompt” holds half a surrogate pair (character 2)"),
        ({"prompt": "q", "completion": [*TURNS, *TURNS]}, "“completion” is 4 turns, not one reply"),
        ({"instruction": "q", "output": True}, "“output” is true, not text"),
        ({"instruction": "q", "output": "a", "history": ["x"]}, "“history” is not a list of pairs"),
        ({"instruction": "q", "output": "a", "tools": "[1]"}, "it offers tools"),
        ({"prompt": "q", "chosen": "a", "rejected": "a"}, "both replies are the same"),
        (
            {"prompt": "q", "chosen": "a", "rejected": "b", "margin": "wide"},
            "“margin” is a text, not a number",
        ),
        ({"prompt": "q", "chosen": "a", "rejected": "b", "margin": "inf"}, "“margin” is not a finite number"),
        ({"chosen": TURNS, "rejected": [WORSE[1]]}, "the prompts differ"),
        ({"messages": TURNS, "label": "maybe"}, '“label” is "maybe", neither good nor bad'),
        ({"messages": TURNS, "label": 2}, "“label” is 2, neither good nor bad"),
        ({"prompt": "q", "completion": "a", "label": ""}, "“label” is missing: nobody judged this reply"),
        (
            {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: r\n\nAssistant: b"},
            "the prompts differ",
        ),
        ({"chosen": "\n\nHuman: q\n\nAssistant: ", "rejected": "\n\nHuman: q\n\nAssistant: b"}, "is empty"),
        ({"chosen": "\n\nHuman: q", "rejected": "\n\nHuman: q\n\nAssistant: b"}, "ends with the human"),
        ({"a": "a", "b": "b", "winner": 0}, "a tie: no pair"),
        ({"a": "a", "b": "b", "winner": "c"}, '“winner” is "c", which names neither side'),
    ],
)
def test_a_bad_row_is_refused_with_its_reason(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    found = only(tmp_path, row)
    assert isinstance(found, Refusal)
    assert found.line == 1
    assert reason in found.reason


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "q", "completion": "a"}\n{"prompt": "q"}\n')
    assert list(read(path))[1] == Refusal(2, "“completion” is missing")


@pytest.mark.parametrize("good", ["true", "1", "YES", "good", "safe", " up ", 1.0, True])
@pytest.mark.parametrize("bad", ["false", "0", "No", "bad", "Unsafe", "down", 0, 0.0, False])
def test_labels_have_many_names(good: Any, bad: Any, tmp_path: Path) -> None:
    for value, expected in ((good, True), (bad, False)):
        row = only(tmp_path, {"prompt": "q", "completion": "a", "label": value})
        assert row == Row(1, Rated((USER,), "a", expected))


def test_what_is_left_out_and_placeholders_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "q", "completion": "I am {{name}}.", "url": "u"}) + "\n")
    reading = read(path)
    (row,) = reading
    assert isinstance(row, Row)
    assert "url" in reading.notes[0]
    assert "{{name}} (1 times)" in reading.notes[1]
