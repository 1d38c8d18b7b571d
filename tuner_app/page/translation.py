"""What the program says in English, in the browser's language: each sentence by its template.

`translation.zh.json` has them. In a template `{n…}` stands for a number, `{t…}` for words that have a
translation themselves, another letter alone for what stays as it is, a name or a path, and a longer name for
what is translated where it can be. What has no translation is said in English, after a line that says what to
do.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

LANGUAGES = ("en", "zh")
LEAD = {"zh": "程序用英文给出了说明，请照此处理，或转告管理此页面的人："}
LONGEST = 2_000  # characters of a line that is looked up
JOINTS = (("; ", "；"), (" · ", " · "), (", ", "，"))  # of what is put together from parts
_PLACE = re.compile(r"\{([a-z]\w*)\}")
_NUMBER = re.compile(r"[-−+]?\d[\d.,]*(e[-+]?\d+)?%?|nan|-?inf")


def language_of(accepted: str) -> str:
    """The one of ours that a browser asks for first, by its `Accept-Language`; else English."""
    first = accepted.split(",")[0].split(";")[0].strip().lower().split("-")[0]
    return first if first in LANGUAGES else "en"


def of_headers(headers: Mapping[str, str]) -> str:
    """The language of the browser that has sent these headers."""
    return language_of(headers.get("accept-language", ""))


def translate(text: str, language: str) -> str:
    """A text in this language, line by line; a line that has no translation stays as it is."""
    return "\n".join(translated(line, language) or line for line in text.split("\n"))


def translate_error(text: str, language: str) -> str:
    """Why something failed, in this language."""
    known = language == "en" or translated(text.partition("\n")[0], language) is not None
    said = translate(text, language)
    return said if known else f"{LEAD[language]}\n{said}"


@lru_cache(4096)
def translated(line: str, language: str) -> str | None:
    """A line in this language; None where it has no translation."""
    if language == "en":
        return line
    if not line.strip() or len(line) > LONGEST:
        return None
    whole, templates = _catalogue(language)
    if line in whole:
        return whole[line]
    found = (template.put(line, language) for template in templates)
    return next((put for put in found if put is not None), None) or _in_parts(line, language)


def _in_parts(line: str, language: str) -> str | None:
    for joint, theirs in JOINTS:
        parts = line.split(joint)
        if len(parts) > 1:
            said = [translated(part, language) for part in parts]
            if None not in said:
                return theirs.join(filter(None, said))
    return None


@dataclass(frozen=True)
class _Template:
    """A sentence with places: what stands around them, their names, and the translation."""

    around: Sequence[str]
    names: Sequence[str]
    translation: str

    def put(self, line: str, language: str) -> str | None:
        """The translation with what stands in the places of `line`; None where it is another sentence."""
        values = self._values(line)
        if values is None:
            return None
        said = dict[str, str]()
        for name, value in zip(self.names, values, strict=True):
            theirs = translated(value, language) if len(name) > 1 or name == "t" else None
            if (name[0] == "n" and not _NUMBER.fullmatch(value)) or (name[0] == "t" and theirs is None):
                return None
            said[name] = theirs or value
        return _PLACE.sub(lambda place: said[place[1]], self.translation)

    def _values(self, line: str) -> list[str] | None:
        """What stands in the places, each as short as can be: time grows with the line, and no faster."""
        first, *between, last = self.around
        end = len(line) - len(last)
        if not line.startswith(first) or not line.endswith(last):
            return None
        values, at = list[str](), len(first)
        for text in between:
            found = line.find(text, at + 1, end)
            if found < 0:
                return None
            values.append(line[at:found])
            at = found + len(text)
        return [*values, line[at:end]] if at < end else None


@cache
def _catalogue(language: str) -> tuple[Mapping[str, str], Sequence[_Template]]:
    """The sentences without places, and the templates, those that say the most first."""
    text = (Path(__file__).parent / f"translation.{language}.json").read_text(encoding="utf-8")
    sentences: dict[str, str] = json.loads(text)
    whole = {english: theirs for english, theirs in sentences.items() if not _PLACE.search(english)}
    templates = [
        _Template(_PLACE.split(english)[::2], _PLACE.findall(english), theirs)
        for english, theirs in sentences.items()
        if english not in whole
    ]
    return whole, sorted(templates, key=lambda one: -sum(map(len, one.around)))
