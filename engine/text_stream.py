"""Text out of token ids, as they come: never half a character, never half a stop string. No torch."""

from collections.abc import Sequence
from typing import Any

REPLACEMENT = "\ufffd"
LONGEST_CHARACTER = 4  # bytes of UTF-8, hence tokens at most


class TextStream:
    """One answer's text, given out in pieces.

    A piece is held back while it may be part of a character (its bytes so far decode to "\ufffd") or the
    beginning of one of the `stop` strings. Once `stopped`, the text up to the stop string is out and the
    rest is dropped. The pieces together are what the tokenizer decodes from all ids, special tokens left out
    unless `special`.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = (), *, special: bool = False) -> None:
        self.tokenizer = tokenizer
        self.special = special
        self.stop = [text for text in stop if text]
        self.stopped = False
        self._window: list[int] = []  # the ids of the last whole piece and those after it
        self._piece = 0  # where in the window the last whole piece ends
        self._shown = 0  # how many characters of the window's text are out already
        self._held = ""  # whole characters that may begin a stop string

    def add(self, token: int) -> str:
        """The text that `token` makes certain; often "" and at times that of several tokens."""
        self._window.append(token)
        return self._release(self._characters())

    def end(self) -> str:
        """What was held back, when no token follows."""
        if self.stopped:
            return ""
        waiting = self._decode(self._window).endswith(REPLACEMENT)
        text = self._release(self._decode(self._window[self._piece :]) if waiting else "")
        rest, self._held = self._held, ""
        return text + rest

    def _decode(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(
            ids, skip_special_tokens=not self.special, clean_up_tokenization_spaces=False
        )
        return text

    def _characters(self) -> str:
        # Decoders treat an answer's first token apart (SentencePiece drops its space), so a piece is never
        # decoded alone: the window keeps the piece before it, which began where a character did.
        text = self._decode(self._window)
        if text.endswith(REPLACEMENT):
            return self._give_up() if len(self._window) - self._piece > LONGEST_CHARACTER else ""
        new = text[self._shown :]
        if new:
            self._window = self._window[self._piece :]
            self._piece = len(self._window)
            self._shown = len(self._decode(self._window))
        return new

    def _give_up(self) -> str:
        """Let go of the first waiting token: its bytes can no longer become a character."""
        first = self._window[self._piece]
        self._window = self._window[self._piece + 1 :]
        self._piece = self._shown = 0
        return self._decode([first])

    def _release(self, new: str) -> str:
        text = self._held + new
        found = [at for at in (text.find(stop) for stop in self.stop) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = max((_overlap(text, stop) for stop in self.stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` are the first ones of `stop`, which `text` lacks."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
