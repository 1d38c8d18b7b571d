"""What changed between two texts, word by word. Pure."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import takewhile

from textual.content import Content

from tuner_app.clean import visible

_PIECES = re.compile(r"\w+|\s+|[^\w\s]")
_MOST = 2_000  # pieces that differ; beyond, they are told as one change
_FAR = 90  # characters that are the same; of more, only those next to a change are shown
_NEAR = 30

Change = tuple[str, str]  # what was removed, what was added; the same text twice where nothing changed


def changes(before: str, after: str) -> Iterator[Change]:
    """The two texts, piece by piece."""
    old, new = _PIECES.findall(before), _PIECES.findall(after)
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    yield ("".join(old[:start]),) * 2
    inner_old, inner_new = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(inner_old), len(inner_new)) > _MOST:
        yield "".join(inner_old), "".join(inner_new)
    else:
        matcher = SequenceMatcher(None, inner_old, inner_new, autojunk=False)
        for _, a, b, c, d in matcher.get_opcodes():
            yield "".join(inner_old[a:b]), "".join(inner_new[c:d])
    yield ("".join(old[len(old) - end :]),) * 2


def shown(before: str, after: str) -> Content:
    """The changes as text: [-removed-] and {+added+}, which tell without colour."""
    parts: list[Content | str | tuple[str, str]] = []
    for removed, added in changes(visible(before), visible(after)):
        if removed == added:
            parts.append(_abridged(removed))
        else:
            parts += [(f"[-{removed}-]", "$text-error")] if removed else []
            parts += [(f"{{+{added}+}}", "bold $text-success")] if added else []
    return Content.assemble(*parts)


def _alike(one: list[str], other: list[str]) -> int:
    """How many pieces at the start are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _abridged(text: str) -> str:
    return text if len(text) <= _FAR else f"{text[:_NEAR]} … {text[-_NEAR:]}"
