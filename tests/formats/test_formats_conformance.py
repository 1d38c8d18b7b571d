"""Real files, counted. They are not ours to ship: TUNER_CONFORMANCE_DATA names the folder that has them."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message, Rated
from tuner_app.formats import FORMATS, Refusal, Row, read, write
from tuner_app.formats.json_text import JSONError, parse

FOLDER = os.environ.get("TUNER_CONFORMANCE_DATA", "")
DATA = Path(FOLDER) / "data"
pytestmark = pytest.mark.skipif(not FOLDER, reason="TUNER_CONFORMANCE_DATA is not set")

EMPTY_ANSWERS = (
    *(336, 736, 1414, 1520, 1557, 2617, 2885, 3015, 3274, 3282, 3284, 3891, 3930, 4014, 4167, 4197),
    *(4264, 4928, 6022, 6196, 6496, 6808, 7327, 7463, 8468, 8632, 8658, 8720, 9726, 10221, 10782),
    *(11187, 11189, 11773, 11948, 12000),
)

# file: format, container, rows taken, {line: reason} of those refused
TAKEN: dict[str, tuple[str, str, int, dict[int, str]]] = {
    "llamafactory/alpaca_en_demo.json": ("alpaca", "json", 999, {}),
    "llamafactory/alpaca_zh_demo.json": ("alpaca", "json", 1000, {}),
    "llamafactory/dpo_en_demo.json": ("ranking", "json", 300, {}),
    "llamafactory/dpo_zh_demo.json": ("ranking", "json", 300, {}),
    "llamafactory/glaive_toolcall_en_demo.json": ("sharegpt", "json", 300, {}),
    "llamafactory/identity.json": ("alpaca", "json", 91, {}),
    "llamafactory/kto_en_demo.json": ("kto-tag", "json", 300, {}),
    "medical/huatuo_llama_data.json": ("alpaca", "jsonl", 4000, {}),
    "medical/medicalgpt_sft_1K.jsonl": ("sharegpt", "jsonl", 1000, {}),
    "pref/hh_rlhf_harmless_open.jsonl": (
        *("hh-rlhf", "jsonl", 743),
        {421: "the prompts differ", 634: "the prompts differ"},
    ),
    "pref/medicalgpt_dpo_zh_500.jsonl": ("ranking", "jsonl", 500, {}),
    "pref/truthfulqa_human_truth_labels_open.jsonl": (
        *("judged-answer", "jsonl", 12377),
        dict.fromkeys(EMPTY_ANSWERS, "the answer is empty"),
    ),
    "sft/fastchat_dummy_conversation.json": ("sharegpt", "json", 500, {}),
    "sft/gpteacher_roleplay.json": ("alpaca", "json", 1500, {}),
    "sft/sharegpt_zh_1K.jsonl": ("sharegpt", "jsonl", 299, {119: "ends with the user"}),
}

# file: what the refusal says, what it proposes, how many rows that takes and refuses
COLUMNS: dict[str, tuple[str, str, int, int]] = {
    "medical/icliniq_qas.json": ("question_text", "prompt=question,completion=answer", 465, 0),
    "medical/mts_dialog_train.csv": ("section_header", "prompt=dialogue,completion=section_text", 1201, 0),
    "pref/diasafety_train.json": ("context", "prompt=context,completion=response,label=label", 9015, 2),
    "pref/pandalm_testset-v1.json": (
        *("annotator1", "instruction=instruction,input=input,a=response1,b=response2,winner=annotator1"),
        *(844, 155),
    ),
    "sft/gsm8k_train.jsonl": ("question", "prompt=question,completion=answer", 4000, 0),
}

REFUSED = {
    "llamafactory/c4_demo.jsonl": "holds plain text",
    "llamafactory/dataset_info.json": "LLaMA-Factory's registry",
    "llamafactory/wiki_demo.txt": "is plain text",
    "medical/toyhom_sample_gb18030.csv": "--encoding gb18030",
    "pref/oasst_en_100_tree.jsonl": "trees of messages",
    "sft/belle_zh_seed_tasks.json": "jq -c",
    "sft/self_instruct_seed_tasks.jsonl": "jq -c",
}


def test_no_file_is_left_out() -> None:
    found = {
        str(path.relative_to(DATA))
        for folder in ("llamafactory", "sft", "pref", "medical")
        for path in (DATA / folder).iterdir()
        if path.is_file()
    }
    assert found == {*TAKEN, *COLUMNS, *REFUSED}


@pytest.mark.parametrize("name", TAKEN)
def test_a_file_is_taken_row_for_row(name: str) -> None:
    form, container, taken, refused = TAKEN[name]
    reading = read(DATA / name)
    rows = list(reading)
    assert (reading.format, reading.container) == (form, container)
    assert all(isinstance(row.example, FORMATS[form].holds) for row in rows if isinstance(row, Row))
    found = {row.line: row.reason for row in rows if isinstance(row, Refusal)}
    assert len(rows) - len(found) == taken
    assert found.keys() == refused.keys()
    assert all(reason in found[line] for line, reason in refused.items())


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_with_other_names_is_taken_as_proposed(name: str) -> None:
    said, proposal, taken, refused = COLUMNS[name]
    with pytest.raises(UserError) as caught:
        read(DATA / name)
    assert said in caught.value.what
    assert f"--columns {proposal}" in caught.value.do
    rows = list(read(DATA / name, columns=dict(part.split("=") for part in proposal.split(","))))
    assert sum(isinstance(row, Row) for row in rows) == taken
    assert sum(isinstance(row, Refusal) for row in rows) == refused


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_taken_says_why(name: str) -> None:
    with pytest.raises(UserError) as caught:
        read(DATA / name)
    assert REFUSED[name] in str(caught.value)


def test_gb18030_text_is_taken_when_named() -> None:
    columns = {"prompt": "ask", "completion": "answer"}
    rows = list(read(DATA / "medical/toyhom_sample_gb18030.csv", encoding="gb18030", columns=columns))
    assert sum(isinstance(row, Row) for row in rows) == len(rows) == 1953


def test_tables_of_arguments_are_taken_line_for_line() -> None:
    files = sorted((DATA / "pref/ukp_convarg1_strict").iterdir())
    taken = 0
    for path in files:
        with pytest.raises(UserError, match="--columns a=a1,b=a2,winner=label"):
            read(path)
        rows = list(read(path, columns={"a": "a1", "b": "a2", "winner": "label"}))
        assert [row.line for row in rows] == list(range(2, len(rows) + 2))
        taken += sum(isinstance(row, Row) for row in rows)
    assert (len(files), taken) == (22, 7943)


def test_tool_calls_go_back_to_the_file_as_they_came(tmp_path: Path) -> None:
    original = DATA / "llamafactory/glaive_toolcall_en_demo.json"
    examples = [row.example for row in read(original) if isinstance(row, Row)]
    write(tmp_path / "back.json", examples, "sharegpt")
    back, given = (json.loads(path.read_text()) for path in (tmp_path / "back.json", original))
    without = [{key: value for key, value in row.items() if value} for row in given]
    assert back == without


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv", ".tsv", ".parquet"])
def test_naughty_strings_survive(suffix: str, tmp_path: Path) -> None:
    strings = [text for text in json.loads((DATA / "nasty/blns.json").read_text()) if text.strip()]
    assert len(strings) > 500
    said = [
        Demonstration((Message("user", text), Message("assistant", text)))
        for text in strings
        if "\0" not in text
    ]
    rated = [Rated(example.messages[:1], example.messages[1].content, True) for example in said]
    for examples, kind in ((said, "alpaca"), (said, "messages"), (rated, "unpaired")):
        path = tmp_path / f"naughty{suffix}"
        write(path, examples, kind)
        assert [row.example for row in read(path, kind=kind) if isinstance(row, Row)] == examples


def suite() -> list[Any]:
    return sorted((DATA / "nasty/JSONTestSuite").glob("[nyi]_*.json")) if FOLDER else []


@pytest.mark.parametrize("path", suite(), ids=lambda path: path.name)
def test_json_test_suite(path: Path) -> None:
    started = time.monotonic()
    try:
        parse(path.read_bytes())
        reason = ""
    except JSONError as error:
        reason = str(error)
    if path.name[0] != "i":
        assert bool(reason) == (path.name[0] == "n")
    assert path.name[0] != "n" or ("line " in reason and "column " in reason)
    try:
        assert not any(isinstance(row, Row) for row in read(path))
        refusal = ""
    except UserError as error:
        refusal = str(error)
    assert path.name[0] != "n" or "line " in refusal
    assert time.monotonic() - started < 2
