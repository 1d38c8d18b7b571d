"""The command line as a person meets it: words in, text and an exit status out."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tuner_app import cli


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


Tuner = Callable[..., Said]


@pytest.fixture
def tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuner:
    """Runs `tuner --home <a fresh home> …`."""

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["tuner", "--home", str(tmp_path / "home"), *map(str, words)])
        status = 0
        try:
            cli.main()
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run
