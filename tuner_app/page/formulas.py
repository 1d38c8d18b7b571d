"""LaTeX as MathML, which browsers draw without any script of ours."""

import html
import re
from functools import lru_cache
from xml.etree.ElementTree import Element

# Pure Python, LaTeX to a tree of MathML; KaTeX and MathJax would have to run in the browser.
from latex2mathml.converter import Converter

from tuner_app.clean import visible

_LONGEST = 2_000  # characters
# A definition can stand for more than any limit on what is typed; the rest names files or addresses.
_REFUSED = re.compile(r"\\(def|let|(re)?new|provide|Declare|href|class|style|id\b|input|include)")
_TAGS = re.compile(
    "m(ath|row|i|n|o|s|text|space|su[bp]|subsup|under|over|underover|multiscripts|prescripts|frac|sqrt|root"
    "|style|padded|phantom|table|tr|td|enclose)|none"
)
# What an attribute may say, by its name. Lengths of a few ems at most: a formula covers nothing beside it.
_ATTRIBUTES = (
    ("display", "block|inline"),
    ("stretchy|fence|separator|symmetric|largeop|movablelimits|accent(under)?|displaystyle", "true|false"),
    ("mathvariant", "normal|bold|italic|bold-italic|double-struck|script|fraktur|sans-serif|monospace"),
    ("columnalign", "left|right|center"),
    ("form", "prefix|infix|postfix"),
    ("scriptlevel", "[0-3]"),
    (
        "width|height|depth|voffset|[lr]space|(min|max|math)size|linethickness",
        r"[+-]?\d?(\.\d+)?(em|ex|px|%)?",
    ),
)


@lru_cache(maxsize=2_000)
def mathml(latex: str, *, display: bool = False) -> str:
    """A formula as MathML; as it is typed where it cannot be drawn."""
    kind = "block" if display else "inline"
    return f'<span class="math {kind}">{_drawn(latex, kind) or _typed(latex)}</span>'


def _drawn(latex: str, kind: str) -> str:
    if len(latex) > _LONGEST or _REFUSED.search(latex):
        return ""
    try:
        return _serialized(Converter(display=kind).convert_to_element(latex))
    except (
        Exception
    ):  # whatever a stranger's formula does to the library (RecursionError, too): shown as typed
        return ""


def _typed(latex: str) -> str:
    return f"<code>{html.escape(visible(latex))}</code>"


def _serialized(element: Element) -> str:
    """The tree with the elements and attributes of MathML that draw, and no other. The library's own way to
    write it down undoes the escaping of what stands in it."""
    inside = _escaped(element.text) + "".join(_serialized(child) + _escaped(child.tail) for child in element)
    if not _TAGS.fullmatch(element.tag):
        return inside
    attributes = "".join(
        f' {name}="{value}"' for name, value in element.attrib.items() if _draws(name, value)
    )
    return f"<{element.tag}{attributes}>{inside}</{element.tag}>"


def _draws(name: str, value: str) -> bool:
    return any(re.fullmatch(names, name) and re.fullmatch(values, value) for names, values in _ATTRIBUTES)


def _escaped(text: str | None) -> str:
    """The library gives characters as entities (`&#x0003D;`)."""
    return html.escape(visible(html.unescape(text))) if text else ""
