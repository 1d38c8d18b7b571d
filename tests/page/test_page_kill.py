"""The page's server killed under load loses no label and doubles none; the bench kills it 200 times."""

import asyncio
from pathlib import Path

import pytest

from tests.bench.page_kill import kill


@pytest.mark.slow
def test_no_acknowledged_label_is_lost_or_doubled(tmp_path: Path) -> None:
    found = asyncio.run(kill(tmp_path / "home", kills=5, annotators=8))
    assert found["acknowledged"] >= 5
    nothing = {"lost": 0, "changed": 0, "doubled": 0, "crowded": 0}
    assert {key: found[key] for key in nothing} == found["worst_after_a_kill"] == nothing
    assert found["integrity"] == "ok"
    assert found["refused"] == 0
    assert found["broken_requests"] > 0, "the kills were felt"
