"""Every screen of the app has its pictures."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from album import FOLDER, SIZES, name_of, read
from textual.screen import Screen

import tuner_app.tui

HERE = Path(__file__).parent
STATES = ("empty", "busy", "error")
# What cannot be: the help and the tour always have something to say and nothing that could fail, a question
# is about what is there, and its answer is judged elsewhere, and so on.
WITHOUT = {
    "command_palette": {"error"},
    "compare": {"empty", "error"},
    "example": {"empty"},
    "help": {"empty", "error"},
    "history": {"empty", "error"},
    "question": {"error"},
    "run_details": {"empty"},
    "run_log": {"error"},
    "tour": {"error"},
}


def screens() -> Iterator[str]:
    """The names of those that are shown: no other screen builds on them."""
    for module in pkgutil.walk_packages(tuner_app.tui.__path__, "tuner_app.tui."):
        import_module(module.name)
    kinds = [Screen]
    for kind in kinds:
        kinds += kind.__subclasses__()
    yield from (
        name_of(kind)
        for kind in kinds
        if kind.__module__.startswith("tuner_app.") and not kind.__subclasses__()
    )


def test_every_screen_has_an_album_and_a_test() -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in HERE.glob("test_*.py"))
    assert {*screens(), "command_palette"} == {file.stem for file in FOLDER.glob("*.txt")}
    assert [name for name in screens() if f"def test_{name}(" not in tests] == []


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_an_album_has_every_state_in_every_size(file: Path) -> None:
    states = set(STATES) - WITHOUT.get(file.stem, set())
    wanted = {f"{state} {width}×{height}" for state in states for width, height in SIZES}
    assert wanted <= {headline for headline, _ in read(file)}
