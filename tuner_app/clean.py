"""Text from models and imports, made safe to show: what cannot be seen becomes a visible glyph."""

import re

# C0 and C1 controls except newline and tab; line and paragraph separators; marks, embeddings, overrides
# and isolates that reorder text (UAX #9); invisible fillers and tag characters; lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_CONTROL_PICTURES = 0x2400  # U+2400 + n is the picture of control n


def visible(text: str) -> str:
    """`text` with control characters, escape sequences and bidi controls as visible glyphs."""
    return _UNSAFE.sub(_glyph, text.replace("\r\n", "\n")).replace("\t", "    ")


def one_line(text: str, width: int = 60) -> str:
    """The start of `text` on one line, at most `width` characters, safe to show."""
    line = " ".join(visible(text[: 4 * width]).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def _glyph(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(_CONTROL_PICTURES + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
