"""Every format through every container: what is written reads back equal, or is not written at all."""

import json
import os
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Example, Message, Pair, Rated
from tuner_app.formats import FORMATS, Refusal, Row, read, write

SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.gz", ".parquet.gz")

# Text that a careless table, trim or decoder would change.
HOSTILE = (
    " leading and trailing \n\n",
    'a "quoted" word, a comma;\ta tab',
    '"starts with a quote',
    "line\nfeed\r\nboth\rreturn",
    "=1+1",
    "NaN",
    "null",
    "true",
    "0123",
    "[]",
    "{}",
    '[{"role": "user", "content": "not a message"}]',
    '{"from": "human", "value": "nor this"}',
    "\ufeffmark, \u2028 separator, \u200b nothing, \u202e bidi",
    "\x1b[31mred\x07\x01",
    "héllo 你好 🦊 e\u0301",
    "{{name}} <br/> \\n \\ud800",
    "#id\n---\n'''",
)


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> Message:
    return Message("assistant", text)


SYSTEM = Message("system", "Be brief.")
TOOLS = '[{"name": "look_up", "parameters": {"type": "object"}}]'
DEMONSTRATIONS: list[Example] = [
    *(Demonstration((user(text), assistant(text))) for text in HOSTILE),
    Demonstration((SYSTEM, user("one"), assistant("two"), user("three"), assistant("four"))),
]
TOOL_USE = Demonstration(
    (user("q"), assistant('{"name": "look_up"}'), Message("tool", '{"found": 1}'), assistant("It is 1.")),
    TOOLS,
)
PAIRS: list[Example] = [Pair((user(text),), text, text + "!") for text in HOSTILE]
LONG_PAIR = Pair((user("one"), assistant("two"), user("three")), "four", "five")
RATED: list[Example] = [Rated((user(text),), text, number % 2 == 0) for number, text in enumerate(HOSTILE)]

HELD: dict[str, list[Example]] = {
    "messages": [*DEMONSTRATIONS, TOOL_USE],
    "sharegpt": [*DEMONSTRATIONS, TOOL_USE],
    "prompt-completion": [*DEMONSTRATIONS, TOOL_USE, Demonstration((assistant("unasked"),))],
    "alpaca": DEMONSTRATIONS,
    "preference": [*PAIRS, LONG_PAIR, Pair((SYSTEM, user("q")), "a", "b", 0.5), Pair((), "a", "b")],
    "ranking": [*PAIRS, LONG_PAIR, Pair((SYSTEM, user("q")), "a", "b", 2.0), Pair((), "a", "b")],
    "hh-rlhf": [*PAIRS, LONG_PAIR],
    "pairwise": [*PAIRS, LONG_PAIR, Pair((), "a", "b", 0.25)],
    "kto-tag": [*RATED, Rated((SYSTEM, user("one"), assistant("two"), user("three")), "four", True)],
    "judged-answer": RATED,
    "unpaired": [*RATED, Rated((SYSTEM, user("one"), assistant("two"), user("three")), "four", False)],
}
LONG = (user("one"), assistant("two"), user("three"))
PLAIN: dict[str, list[Example]] = {  # one that fits in texts, one that does not
    "prompt-completion": [Demonstration((user("q"), assistant("a"))), Demonstration((*LONG, assistant("a")))],
    "preference": [Pair((user("q"),), "a", "b"), Pair(LONG, "a", "b")],
    "pairwise": [Pair((user("q"),), "a", "b"), Pair(LONG, "a", "b")],
    "unpaired": [Rated((user("q"),), "a", True), Rated(LONG, "a", True)],
}


def test_every_format_is_tried() -> None:
    assert set(HELD) == set(FORMATS)


def examples_of(path: Path, kind: str | None = None) -> list[Example]:
    rows = list(read(path, kind=kind))
    assert [row for row in rows if isinstance(row, Refusal)] == []
    return [row.example for row in rows if isinstance(row, Row)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", HELD)
def test_what_is_written_reads_back(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    assert write(path, iter(HELD[kind]), kind) == len(HELD[kind])
    assert examples_of(path, kind) == HELD[kind]
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("kind", HELD)
def test_the_format_is_detected_whatever_the_name(kind: str, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"file{suffix}"
        write(path, HELD[kind], kind)
        foreign = path.rename(tmp_path / "file.dat")
        reading = read(foreign)
        assert (reading.format, reading.detected) == (kind, True)
        assert examples_of(foreign) == HELD[kind]


@pytest.mark.parametrize("kind", PLAIN)
def test_single_turns_are_written_as_texts(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    write(path, PLAIN[kind][:1], kind)
    assert '"prompt": "q"' in path.read_text()
    write(path, PLAIN[kind], kind)
    assert '"prompt": [{"role": "user", "content": "q"}]' in path.read_text()


@pytest.mark.parametrize(
    ("kind", "example"),
    [
        ("alpaca", TOOL_USE),
        ("alpaca", Demonstration((user("q"), user("q"), assistant("a")))),
        ("hh-rlhf", Pair((SYSTEM, user("q")), "a", "b")),
        ("hh-rlhf", Pair((user("q"),), "a", "b", 1.0)),
        ("hh-rlhf", Pair((user("q"),), "a\n\nHuman: more", "b")),
        ("judged-answer", Rated((SYSTEM, user("q")), "a", True)),
        ("judged-answer", Rated((user("q\nA: first"),), "a", True)),
        ("messages", LONG_PAIR),
        ("messages", Demonstration((user("half \ud800"), assistant("a")))),
        ("messages", Demonstration((user("q"), assistant(" ")))),
    ],
)
def test_an_example_that_would_be_lost_is_named_and_nothing_is_written(
    kind: str, example: Example, tmp_path: Path
) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("before")
    with pytest.raises(UserError, match="cannot hold example 1"):
        write(path, [example], kind)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.jsonl"]


def test_a_name_without_a_known_suffix_and_no_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say what to write"):
        write(tmp_path / "file.txt", PLAIN["unpaired"], "unpaired")
    with pytest.raises(UserError, match="nothing to write"):
        write(tmp_path / "file.json", [], "unpaired")
    with pytest.raises(UserError, match="no file format"):
        write(tmp_path / "file.json", [], "yaml")
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "none" / "file.json", PLAIN["unpaired"], "unpaired")
    assert os.listdir(tmp_path) == []


def test_calls_of_tools_are_written_as_such(tmp_path: Path) -> None:
    write(tmp_path / "file.jsonl", [TOOL_USE], "sharegpt")
    row = json.loads((tmp_path / "file.jsonl").read_text())
    assert [turn["from"] for turn in row["conversations"]] == ["human", "function_call", "observation", "gpt"]
    assert row["tools"] == TOOLS


def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("before")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write(path, PLAIN["unpaired"], "unpaired")
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file.jsonl"]
