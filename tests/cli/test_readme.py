"""The README keeps up with the code: every command, method, format and file has its line."""

import re
import subprocess
from pathlib import Path

import pytest

from engine.spec import methods
from tuner_app import formats, machines
from tuner_app.cli import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_a_line(name):
    assert re.search(rf"^\| `tuner {name}\b", README, re.MULTILINE)


@pytest.mark.parametrize("name", methods())
def test_every_method_has_a_line(name):
    assert re.search(rf"^\| `{name}` ", README, re.MULTILINE)
    assert methods()[name].paper in README


def test_the_file_of_machines_is_the_one_that_the_program_shows():
    assert f"```toml\n{machines.FORMAT}\n```" in README


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_format_is_named(name):
    assert f"`{name}`" in README


def test_every_file_has_a_line_under_its_folder_and_no_line_is_of_a_file_that_is_gone():
    listed = set()
    folder = ""
    for line in README.splitlines():
        if heading := re.match(r"\*\*`(.+)/`\*\*", line):
            folder = heading[1]
        elif entry := re.match(r"- `([\w.]+)` \S", line):
            listed.add(f"{folder}/{entry[1]}")
    there = {
        str(file.relative_to(ROOT))
        for part in ("engine", "tuner_app", "assets")
        for ending in ("*.py", "*.jinja", "*.tcss")
        for file in (ROOT / part).rglob(ending)
        if file.name != "__init__.py"
    }
    assert listed == there


def test_the_two_commands_are_those_that_ci_runs():
    commands = re.findall(r"^pip install .* && .*$", README, re.MULTILINE)
    assert commands == ["pip install . && tuner demo", "pip install -e '.[test]' && pytest"]
    assert "pip install" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_pictures_exist_and_are_small():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    for picture in pictures:
        assert 0 < (ROOT / picture).stat().st_size < 400_000


def test_no_path_of_a_machine_is_in_the_project():
    pattern = r"/(home|root|work|Users)/[a-z]|\.\./shared"
    command = ["git", "grep", "-nE", pattern, "--", ".", ":!.ci", ":!tests/cli"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.stdout == ""
