"""What the studio says, in English and Chinese: `words.en.json` and `words.zh.json` have the same keys."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import gradio as gr
from gradio.i18n import I18nData

from tuner_app.page.translation import LANGUAGES, of_headers, translate, translate_error


@dataclass(frozen=True)
class Words:
    """The words of one language, for what a listener says."""

    language: str

    @staticmethod
    def of(headers: Mapping[str, str]) -> "Words":
        """Those of the browser that has sent these headers."""
        return Words(of_headers(headers))

    def __call__(self, key: str, **values: object) -> str:
        """The words under this key, with values in their places."""
        return _read(self.language)[key].format(**values)

    def of_program(self, text: str) -> str:
        """What the program says in English, in this language where it is known."""
        return translate(text, self.language)

    def of_error(self, error: object) -> str:
        """Why something failed, in this language, or after a line in it that says what to do."""
        return translate_error(str(error), self.language)


def of_browser(texts: Iterable[str] = ()) -> gr.I18n:
    """All words, and these texts of the program, for the browser, which takes those of its own language."""
    texts = list(texts)
    return gr.I18n(
        **{one: _read(one) | {_key(text): translate(text, one) for text in texts} for one in LANGUAGES}
    )


def said(key: str) -> I18nData:
    """A label that the browser puts into its language."""
    assert key in _read("en"), key
    return I18nData(key)


def said_by_program(text: str) -> I18nData:
    """One of the texts of `of_browser`, which puts it into its language."""
    return I18nData(_key(text))


def _key(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:12]  # the browser would take a point for a path


@cache
def _read(language: str) -> dict[str, str]:
    text = (Path(__file__).parent / f"words.{language}.json").read_text(encoding="utf-8")
    words: dict[str, str] = json.loads(text)
    return words
