import json
from pathlib import Path

from engine.examples import Message, Pair
from tuner_app import formats

PAIRS = [
    {"prompt": "Is a lemon sour?", "chosen": "Yes, it is.", "rejected": "No."},
    {"prompt": "Is sugar sweet?", "chosen": "Yes, very.", "rejected": "Perhaps."},
]


def write_lines(file: Path, rows: list[object]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_import_counts_rows_and_names_each_refused_line(tuner, tmp_path):
    file = write_lines(tmp_path / "pairs.jsonl", [PAIRS[0], {**PAIRS[1], "chosen": ""}, PAIRS[1]])
    said = tuner("import", file)
    assert said.status == 0
    assert "preference (jsonl): 2 pairs." in said.out
    assert "2 new, 0 already there, 1 refused" in said.out
    assert "line 2: " in said.out
    again = json.loads(tuner("import", file, "--json").out)[0]
    assert (again["new"], again["known"], len(again["refused"])) == (0, 2, 1)
    assert again["refused"][0]["line"] == 2


def test_a_dry_run_keeps_nothing(tuner, tmp_path):
    file = write_lines(tmp_path / "pairs.jsonl", [*PAIRS])
    assert "2 pairs" in tuner("import", file, "--dry-run").out
    assert "2 new" in tuner("import", file).out


def test_a_file_that_breaks_off_is_not_imported_at_all(tuner, tmp_path):
    file = tmp_path / "pairs.json"
    file.write_text(json.dumps(PAIRS)[:-20], encoding="utf-8")
    said = tuner("import", file)
    assert said.status == 1
    assert "not imported" in said.out
    assert "learns from pairs: it takes at least 2, and there are 0" in tuner("train", "dpo").err


def test_columns_of_other_names_are_offered_and_taken(tuner, tmp_path):
    file = write_lines(tmp_path / "qa.jsonl", [{"question": "Is it?", "answer": "It is."}])
    said = tuner("import", file)
    assert said.status == 1
    assert "--columns prompt=question,completion=answer" in said.out
    said = tuner("import", file, "--columns", "prompt=question,completion=answer")
    assert said.status == 0
    assert "1 demonstration." in said.out


def test_columns_without_a_name_are_refused(tuner, tmp_path):
    said = tuner("import", tmp_path / "x.jsonl", "--columns", "prompt")
    assert said.status == 1
    assert "ROLE=NAME" in said.err


def test_export_gives_back_what_was_imported(tuner, tmp_path):
    tuner("import", write_lines(tmp_path / "pairs.jsonl", [*PAIRS]))
    said = tuner("export", tmp_path / "out.csv", "--as", "preference")
    assert said.status == 0
    rows = {row.example for row in formats.read(tmp_path / "out.csv") if isinstance(row, formats.Row)}
    assert rows == {Pair((Message("user", p["prompt"]),), p["chosen"], p["rejected"]) for p in PAIRS}


def test_export_in_an_unknown_format_lists_the_known_ones(tuner, tmp_path):
    said = tuner("export", tmp_path / "out.jsonl", "--as", "nonsense")
    assert said.status == 1
    assert "hh-rlhf" in said.err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_prompt_is_given_to_rows_that_have_none(tuner, tmp_path):
    rows = [{"a": "x", "b": "y", "winner": "a"}, {"prompt": "Why?", "a": "x", "b": "z", "winner": "b"}]
    assert tuner("import", write_lines(tmp_path / "rows.jsonl", rows), "--prompt", "Which?").status == 0
    tuner("export", tmp_path / "out.jsonl", "--as", "preference")
    rows = {row.example for row in formats.read(tmp_path / "out.jsonl") if isinstance(row, formats.Row)}
    assert rows == {Pair((Message("user", "Which?"),), "x", "y"), Pair((Message("user", "Why?"),), "z", "x")}
