"""Every key of every screen is pressed by a test."""

import pkgutil
import re
from importlib import import_module
from pathlib import Path

import keys_tried
from textual.dom import DOMNode

import tuner_app.tui

HERE = Path(__file__).parent


def kinds() -> list[type[DOMNode]]:
    """All classes of ours that may have keys."""
    for module in pkgutil.walk_packages(tuner_app.tui.__path__, "tuner_app.tui."):
        import_module(module.name)
    found: list[type[DOMNode]] = [DOMNode]
    for kind in found:
        found += [more for more in kind.__subclasses__() if more not in found]
    return [kind for kind in found if kind.__module__.startswith("tuner_app.")]


def test_every_key_has_a_test() -> None:
    own = {(kind.__name__, key) for kind in kinds() for key in keys_tried.own_keys(kind)}
    tried = keys_tried.read()
    assert sorted(own - set(tried)) == [], "press them in a test; KEYS=new notes where (see keys_tried.py)"
    assert sorted(set(tried) - own) == [], "these keys are gone"


def test_the_tests_that_press_them_are_there() -> None:
    tests = {
        f"{file.relative_to(HERE)}::{name}"
        for file in HERE.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))
    }
    assert set(keys_tried.read().values()) <= tests
