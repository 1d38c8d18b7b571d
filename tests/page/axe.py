"""What axe-core finds wrong with a page."""

from typing import Any

import pytest
from labelling import Page

_axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def faults(page: Page, *, but: tuple[str, ...] = ()) -> list[str]:
    """What is wrong, and where, without the rules `but`."""
    options: dict[str, Any] = {"runOnly": RULES, "rules": {rule: {"enabled": False} for rule in but}}
    found = _axe.Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['html'][:300]}" for one in found for node in one["nodes"]]
