"""Text from models and imports, made safe to show: what cannot be seen becomes a visible glyph."""

import re
from functools import cache

# C0 and C1 controls except newline and tab; line and paragraph separators; marks, embeddings, overrides
# and isolates that reorder text (UAX #9); invisible fillers and tag characters; lone surrogates.
_UNSAFE = (
    *(range(0x09), range(0x0B, 0x20), range(0x7F, 0xA0), range(0x061C, 0x061D), range(0x200B, 0x200C)),
    *(range(0x200E, 0x2010), range(0x2028, 0x202F), range(0x2060, 0x2070), range(0xFEFF, 0xFF00)),
    *(range(0xE0000, 0xE0080), range(0xD800, 0xE000)),
)
_CONTROL_PICTURES = 0x2400  # U+2400 + n is the picture of control n
_ANY = re.compile(f"[{''.join(f'{chr(codes[0])}-{chr(codes[-1])}' for codes in _UNSAFE)}]")


@cache
def _glyphs() -> dict[int, str]:
    """What stands for each of them: made when one is first met, which no start has to wait for."""
    return {
        code: chr(_CONTROL_PICTURES + code) if code < 0x20 else f"⟨U+{code:04X}⟩"
        for codes in _UNSAFE
        for code in codes
    }


def visible(text: str) -> str:
    """`text` with control characters, escape sequences and bidi controls as visible glyphs."""
    return harmless(text).replace("\t", "    ")


def harmless(text: str) -> str:
    """`text` as `visible` shows it, but with its tabs: for the clipboard, from where it may go anywhere."""
    text = text.replace("\r\n", "\n")
    return text.translate(_glyphs()) if _ANY.search(text) else text


def one_line(text: str, width: int = 60) -> str:
    """The start of `text` on one line, at most `width` characters, safe to show."""
    line = " ".join(visible(text[: 4 * width]).split())
    return line if len(line) <= width else line[: width - 1] + "…"
