import json

import pytest
import tiny
from places import OPTIONS

from tuner_app.paths import Home
from tuner_app.workers import supervisor


@pytest.fixture
def model(tmp_path):
    yield tiny.save_model(tmp_path / "tiny", context=512)
    supervisor.stop_chat(Home(tmp_path / "home"))


@pytest.mark.slow
def test_import_train_and_chat_with_the_result(tuner, tmp_path, model):
    rows = [{"prompt": f"What is {word}?", "completion": "A lemon is yellow."} for word in "abcdef"]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert tuner("import", file).status == 0

    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    said = tuner("train", "sft", "--base", model, "--name", "yellow", *options)
    assert said.status == 0, said.err
    assert "tuner chat --model yellow" in said.out
    assert "6 of 6 rows" in said.err

    runs = json.loads(tuner("runs", "--json").out)
    assert [(run["name"], run["status"]) for run in runs] == [("yellow", "done")]
    assert runs[0]["steps"][-1]["loss"] < 0.2 * runs[0]["steps"][0]["loss"]
    assert "yellow" in tuner("runs").out
    assert "done" in tuner("runs", "show", "yellow").out
    assert tuner("runs", "log", "yellow").status == 0
    assert [row["name"] for row in json.loads(tuner("models", "--json").out)][-1] == "yellow"
    assert "there is nothing to stop" in tuner("runs", "stop", "yellow").err

    said = tuner("chat", "What is a?", "--model", "yellow", "--temperature", "0", "--json")
    assert said.status == 0, said.err
    assert json.loads(said.out)["answer"] == "A lemon is yellow."
    said = tuner("chat", "What is a?", "--model", "nobody")
    assert said.status == 1
    assert "Adapters: yellow" in said.err
