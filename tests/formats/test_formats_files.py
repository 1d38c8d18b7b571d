"""Files as a whole: containers, encodings, limits, columns, and what is said about what cannot be taken."""

import contextlib
import gzip
import json
import random
import tracemalloc
from pathlib import Path

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app.formats import Refusal, Row, json_text, parquet, read, source, write

ROW = '{"prompt": "q", "completion": "a"}'
TAKEN = Demonstration((Message("user", "q"), Message("assistant", "a")))


def file(tmp_path: Path, content: str | bytes, name: str = "file.dat") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines_of(path: Path) -> list[int]:
    return [row.line for row in read(path)]


@pytest.mark.parametrize(
    ("content", "container", "lines"),
    [
        (f"[\n  {ROW},\n\n  {ROW}\n]\n", "json", [2, 4]),
        (f"[{ROW}, {ROW}]", "json", [1, 1]),
        ('\n{\n "prompt": "q",\n "completion": "a"\n}\n', "json", [2]),
        (f"\n{ROW}\n\n{ROW}\r\n", "jsonl", [2, 4]),
        (f"\ufeff{ROW}\n{ROW}", "jsonl", [1, 2]),
        ("prompt,completion\nq,a\n\nq,a\n", "csv", [2, 4]),
        ('prompt,completion\r\nq,"a\r\nb"\r\nq,a\r\n', "csv", [2, 4]),
        ("prompt;completion\nq;a\n", "csv with semicolons", [2]),
        ("prompt\tcompletion\nq\ta\n", "tsv", [2]),
        ('prompt\tcompletion\n"q\ta"\nq\t"a\n', "tsv", [2, 3]),
    ],
)
def test_containers_and_lines_are_told_from_content(
    content: str, container: str, lines: list[int], tmp_path: Path
) -> None:
    for name in ("file.json", "file.csv", "file.parquet"):
        path = file(tmp_path, content, name)
        assert read(path).container == container
        assert lines_of(path) == lines
    packed = file(tmp_path, gzip.compress(content.encode()))
    assert read(packed).container == f"{container}, gzip"
    assert lines_of(packed) == lines


def test_utf16_with_a_mark_reads(tmp_path: Path) -> None:
    for content in (f"{ROW}\n{ROW}\n", "prompt,completion\nq,a\nq,a\n"):
        path = file(tmp_path, content.encode("utf-16"))
        assert [row.example for row in read(path) if isinstance(row, Row)] == [TAKEN, TAKEN]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"prompt": "q", "completion": NaN}', "column 31: NaN is not JSON"),
        ('{"prompt": "NaN", "x": [-Infinity]}', "column 25: -Infinity is not JSON"),
        ('{"prompt": "q", "prompt": "r"}', "the key “prompt” is there twice"),
        ('{"prompt": "q" "completion": "a"}', "column 16: expecting ',' delimiter"),
        ('{"prompt": "q"', "column 15: expecting ',' delimiter"),
        (ROW + "}", "column 35: more text after the value"),
        (f'{{"x": {"[" * 32}{"]" * 32}}}', "column 38: nested deeper than 32"),
        (f'{{"x": {"[" * 100_000}}}', "column 38: nested deeper than 32"),
        (f'{{"x": {"9" * 5000}}}', "column 1: a number of too many digits"),
        ("[1, 2]", "a list, not an object with named fields"),
        (f'{{"prompt": "{"q" * (1 << 20)}", "completion": "a"}}', "the line is longer than 1 MiB"),
        (f'{{"prompt": "{"é" * (1 << 19)}", "completion": "a"}}', "the line is longer than 1 MiB"),
        (b'{"prompt": "q\xff", "completion": "a"}', "column 14: the byte 0xff is not in the file's encoding"),
    ],
)
def test_a_bad_line_is_refused_and_the_others_are_taken(
    line: str | bytes, reason: str, tmp_path: Path
) -> None:
    line = line if isinstance(line, bytes) else line.encode()
    path = file(tmp_path, b"\n".join([ROW.encode(), line, '{"prompt": "é", "completion": "a"}'.encode()]))
    rows = list(read(path))
    assert rows[1] == Refusal(2, reason)
    assert [row.line for row in rows if isinstance(row, Row)] == [1, 3]


def test_a_bad_first_line_does_not_hide_the_others(tmp_path: Path) -> None:
    rows = list(read(file(tmp_path, f'{{"prompt": "q",\n{ROW}\n')))
    assert [(row.line, isinstance(row, Row)) for row in rows] == [(1, False), (2, True)]


def test_nesting_of_32_is_taken(tmp_path: Path) -> None:
    path = file(tmp_path, f'{{"prompt": "q", "completion": "a", "x": {"[" * 31}{"]" * 31}}}\n')
    assert list(read(path)) == [Row(1, TAKEN)]


def test_bad_elements_of_an_array_are_refused_by_line(tmp_path: Path) -> None:
    long = json.dumps({"prompt": "q" * (1 << 20), "completion": "a"})
    path = file(tmp_path, f'[\n{ROW},\n7,\n{{"prompt": "q", "prompt": "q"}},\n{long},\n{ROW}]')
    assert [(row.line, getattr(row, "reason", "")) for row in read(path)] == [
        (2, ""),
        (3, "7, not an object with named fields"),
        (4, "the key “prompt” is there twice"),
        (5, "the row is longer than 1 MiB"),
        (6, ""),
    ]


def test_an_array_longer_than_what_is_held_keeps_lines_and_columns(tmp_path: Path) -> None:
    row = json.dumps({"prompt": "q" * 500_000, "completion": "a"})
    path = file(tmp_path, "[\n" + ",\n".join([row] * 20) + ',\n  {"prompt": 1,}]')
    with pytest.raises(UserError, match="line 22, column 16: expecting property name"):
        list(read(path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("3 cells,too,many\n", "3 cells where the first row has 2"),
        ("only one\n", "1 cells where the first row has 2"),
        (f"q,{'a' * (1 << 20)}\n", "the row is longer than 1 MiB"),
        (b"q,\xe9\n", "column 3: the byte 0xe9 is not in the file's encoding"),
        ("q,\0a\n", "“completion” holds a NUL character"),
        ("q,\n", "“completion” is empty"),
    ],
)
def test_a_bad_row_of_a_table_is_refused(content: str | bytes, reason: str, tmp_path: Path) -> None:
    content = content if isinstance(content, bytes) else content.encode()
    good = "q,é\n".encode()
    rows = list(read(file(tmp_path, b"prompt,completion\n" + good * 4 + content + good)))
    assert [row for row in rows if isinstance(row, Refusal)] == [Refusal(6, reason)]
    assert len(rows) == 6


def test_an_open_quote_is_found_where_it_starts(tmp_path: Path) -> None:
    path = file(tmp_path, "prompt,completion\n" + 'q,"a\nb"\n' * 3 + 'q,"a\n' + "q,a\n" * 2)
    with pytest.raises(UserError, match="line 8: unexpected end of data"):
        list(read(path))


def test_columns_map_tables_of_judgements(tmp_path: Path) -> None:
    path = file(tmp_path, '[{"context": "q", "response": "a", "category": "c", "label": "Safe"}]')
    with pytest.raises(UserError, match="--columns prompt=context,completion=response,label=label"):
        read(path)
    (row,) = read(path, columns={"prompt": "context", "completion": "response", "label": "label"})
    assert row == Row(1, Rated((Message("user", "q"),), "a", True))
    path.write_text('[{"context": "q", "response": "", "label": "Safe"}]')
    (bad,) = read(path, columns={"prompt": "context", "completion": "response", "label": "label"})
    assert bad == Refusal(1, "“response” is empty")
    path = file(tmp_path, "#id\tlabel\ta1\ta2\nx\ta2\tan argument here\tthe other one\n")
    with pytest.raises(UserError, match="--columns a=a1,b=a2,winner=label"):
        read(path)
    (row,) = read(path, columns={"a": "a1", "b": "a2", "winner": "label"})
    assert row == Row(2, Pair((), "the other one", "an argument here"))


def test_the_columns_proposed_for_judged_replies_keep_alpacas_prompt(tmp_path: Path) -> None:
    row = {"instruction": "Rewrite it.", "input": "It is it.", "response1": "It is.", "response2": "It."}
    path = file(tmp_path, json.dumps([{**row, "annotator1": 2}]))
    with pytest.raises(UserError) as caught:
        read(path)
    proposal = "instruction=instruction,input=input,a=response1,b=response2,winner=annotator1"
    assert f"--columns {proposal}" in caught.value.do
    (found,) = read(path, columns=dict(part.split("=") for part in proposal.split(",")))
    assert found == Row(1, Pair((Message("user", "Rewrite it.\nIt is it."),), "It.", "It is."))


def test_columns_are_checked(tmp_path: Path) -> None:
    path = file(tmp_path, '{"question": "q", "answer": "a"}\n')
    with pytest.raises(UserError, match="role “question”"):
        read(path, columns={"question": "prompt"})
    with pytest.raises(UserError, match=r"no column “ask” for prompt[\s\S]*question, answer"):
        read(path, columns={"prompt": "ask", "completion": "answer"})
    with pytest.raises(UserError, match="with the roles prompt, no format consists of these"):
        read(path, columns={"prompt": "question"})
    with pytest.raises(UserError, match="do not fit alpaca"):
        read(path, kind="alpaca")
    with pytest.raises(UserError, match="no file format “yaml”"):
        read(path, kind="yaml")
    assert read(path, kind="prompt/completion", columns={"prompt": "question", "completion": "answer"})


def test_a_table_without_a_header_takes_numbers(tmp_path: Path) -> None:
    path = file(tmp_path, "1,What is this?,A table.\n2,And this?,Its second row.\n")
    with pytest.raises(UserError, match=r"without a header[\s\S]*--columns prompt=1,completion=2"):
        read(path)
    rows = list(read(path, columns={"prompt": "2", "completion": "3"}))
    assert [row.line for row in rows] == [1, 2]
    assert isinstance(rows[0], Row)
    assert rows[0].example == Demonstration(
        (Message("user", "What is this?"), Message("assistant", "A table."))
    )


def test_another_encoding_is_named_and_taken(tmp_path: Path) -> None:
    said = "我有高血压这两天女婿来的时候给我拿了些党参泡水喝，您好高血压可以吃党参吗？"
    content = "prompt,completion\n" + f"{said},高血压病人可以口服党参的。\n" * 5
    path = file(tmp_path, content.encode("gb18030"))
    with pytest.raises(UserError, match=r"not UTF-8, first on line 2.*GB18030[\s\S]*--encoding gb18030"):
        read(path)
    rows = list(read(path, encoding="gb18030"))
    assert len(rows) == 5
    assert isinstance(rows[0], Row)
    assert said in str(rows[0].example)
    with pytest.raises(UserError, match="no encoding “klingon”"):
        read(path, encoding="klingon")


def test_lists_in_cells_are_json_as_strictly_as_in_files(tmp_path: Path) -> None:
    turns = '[{""role"": ""user"", ""content"": ""q""}, {""role"": ""assistant"", ""content"": ""a""}]'
    doubled = turns.replace('""content"": ""a""', '""content"": ""a"", ""content"": ""b""')
    path = file(tmp_path, f'messages\n"{turns}"\n"{doubled}"\n"[NaN]"\n')
    assert list(read(path)) == [
        Row(2, TAKEN),
        Refusal(
            3,
            "“messages” is text that is not a list in JSON "
            "(line 1, column 1: the key “content” is there twice)",
        ),
        Refusal(4, "“messages” is text that is not a list in JSON (line 1, column 2: NaN is not JSON)"),
    ]


def test_a_mark_is_skipped_also_when_utf8_is_named(tmp_path: Path) -> None:
    assert list(read(file(tmp_path, "\ufeff" + ROW), encoding="UTF-8")) == [Row(1, TAKEN)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "has no rows"),
        ('{"text": "a page"}\n', "holds plain text"),
        ("A page of prose, with commas.\nAnd a line, another, without end\n", "is plain text"),
        ("<?xml version='1.0'?>\n<list/>\n", "is XML"),
        ('{"alpaca": {"file_name": "alpaca.json"}}', "LLaMA-Factory's registry"),
        ('{"instruction": "q", "instances": [{"input": "", "output": "a"}]}\n', "jq -c"),
        ('{"prompt": {"text": "q", "replies": []}}\n', "trees of messages"),
        ("[{}]", "(none)"),
        ('{"prompt": NaN}\n', "line 1: column 12: NaN is not JSON"),
        (b"\x1f\x8b\x08\x00", "damaged gzip"),
        (gzip.compress(ROW.encode() * 1000)[:-20], "damaged gzip"),
        (b"PAR1 nothing PAR1", "no Parquet"),
        (b"PK\x03\x04\0\0" + bytes(range(128, 256)) * 4, "neither text nor Parquet"),
    ],
)
def test_a_file_that_cannot_be_taken_says_why(content: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        list(read(file(tmp_path, content)))
    assert said in str(caught.value)


def test_a_missing_file_and_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)


def test_more_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "FILE_LIMIT", 2 << 20)
    bomb = file(tmp_path, gzip.compress(b'{"' + b"0" * (8 << 20)))
    with pytest.raises(UserError, match="more than 2 GiB"):
        list(read(bomb))
    monkeypatch.setattr(parquet, "FILE_LIMIT", 2 << 20)
    swollen = tmp_path / "swollen.parquet"
    examples = [
        Demonstration((Message("user", "q" * 1000), Message("assistant", str(number))))
        for number in range(5000)
    ]
    write(swollen, examples, "alpaca")
    assert len(list(read(swollen))) == 5000
    varied = [
        Demonstration((Message("user", str(number) * 300), TAKEN.messages[1])) for number in range(5000)
    ]
    write(swollen, varied, "alpaca")
    assert swollen.stat().st_size < 2 << 20
    with pytest.raises(UserError, match="more than 2 GiB"):
        read(swollen)
    rows = file(tmp_path, (ROW + "\n").encode() * (70_000))
    with pytest.raises(UserError, match="more than 2 GiB"):
        list(read(rows))


@pytest.mark.parametrize("array", [True, False])
def test_memory_does_not_grow_with_the_file(array: bool, tmp_path: Path) -> None:
    row = json.dumps({"prompt": "q" * 900_000, "completion": "a"})
    content = f"[{', '.join([row] * 128)}]" if array else f"{row}\n" * 128
    path = file(tmp_path, gzip.compress(content.encode(), 1))
    del content
    tracemalloc.start()
    try:
        assert sum(isinstance(found, Row) for found in read(path)) == 128
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_a_damaged_file_never_ends_in_a_traceback(tmp_path: Path) -> None:
    """Cut short, or with bytes changed: rows, refusals or a UserError; nothing else."""
    chance = random.Random(0)
    table = b'prompt,completion,label\nq,"a ""b""\nc",true\nq,a,0\n'
    for content in (f"[\n{ROW},\n{ROW}\n]".encode(), f"{ROW}\n{ROW}\n".encode(), table, gzip.compress(table)):
        for _ in range(150):
            damaged = bytearray(content[: chance.randint(1, len(content))])
            for _ in range(chance.randint(0, 3)):
                damaged[chance.randrange(len(damaged))] = chance.choice(b'\x00"{}[],\\\xff\x80\n\r\t01e')
            with contextlib.suppress(UserError):
                list(read(file(tmp_path, bytes(damaged))))


def test_parse_takes_json_and_nothing_else() -> None:
    assert json_text.parse(b' {"a": [1, 2.5, null, "\\ud83d\\ude00"]}\n') == {"a": [1, 2.5, None, "😀"]}
    assert json_text.parse(b'{"a": 1, "a": 2}') == {"a": 2}
    with pytest.raises(json_text.JSONError, match=r"line 2, column 2: byte 9 \(0xff\) is not UTF-8"):
        json_text.parse('{"é":\n '.encode() + b"\xff}")
