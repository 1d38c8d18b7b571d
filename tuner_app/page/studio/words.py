"""What the studio says, in English and Chinese: `words.en.json` and `words.zh.json` have the same keys."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gradio as gr
from gradio.i18n import I18nData

LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Words:
    """The words of one language, for what a listener says."""

    language: str

    @staticmethod
    def of(accepted: str) -> "Words":
        """Those that a browser asks for by `Accept-Language`; English where it names none that we have."""
        for part in accepted.split(","):
            language = part.split(";")[0].strip().lower().split("-")[0]
            if language in LANGUAGES:
                return Words(language)
        return Words("en")

    def __call__(self, key: str, **values: object) -> str:
        """The words under this key, with values in their places."""
        return _read(self.language)[key].format(**values)


def of_browser() -> gr.I18n:
    """All words for the browser, which takes those of its own language."""
    return gr.I18n(**{language: _read(language) for language in LANGUAGES})


def said(key: str) -> I18nData:
    """A label that the browser puts into its language."""
    assert key in _read("en"), key
    return I18nData(key)


@cache
def _read(language: str) -> dict[str, str]:
    text = (Path(__file__).parent / f"words.{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words
