"""Which of the stored examples a run is to learn from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from engine.errors import UserError


@dataclass(frozen=True)
class Selection:
    """The examples of one import, of one person's labels, with a tag, the `limit` newest, those since a time
    (UTC, ISO 8601); `origin` keeps labels or imports alone. Empty and 0 mean all; each part narrows the
    others."""

    source: str = ""
    person: str = ""
    limit: int = 0
    since: str = ""
    origin: Literal["", "labels", "imports"] = ""
    tag: str = ""

    def __post_init__(self) -> None:
        if not (self.has_labels or self.has_imports):
            raise UserError(
                "This selection is empty: imports have no person, and labels no source.",
                do="Name a source or a person, not both.",
            )

    @property
    def has_labels(self) -> bool:
        """Whether examples that labels gave can be in it."""
        return not self.source and self.origin != "imports"

    @property
    def has_imports(self) -> bool:
        """Whether imported examples can be in it."""
        return not self.person and self.origin != "labels"

    def __str__(self) -> str:
        """The words that `parse` reads."""
        named = {"source": self.source, "person": self.person, "tag": self.tag}
        named |= {"last": str(self.limit or ""), "since": self.since}
        words = [self.origin, *(f"{name}:{value}" if value else "" for name, value in named.items())]
        return ",".join(filter(None, words)) or "all"

    @staticmethod
    def parse(text: str) -> "Selection":
        """From `all`, or some of `labels`, `imports`, `source:NAME`, `person:NAME`, `tag:NAME`, `last:100`
        and `since:2026-01-31`, between commas; a UserError where it says something else."""
        return Selection.of(filter(None, map(str.strip, text.split(","))))

    @staticmethod
    def of(words: Iterable[str]) -> "Selection":
        """From the words that `parse` finds between commas."""
        parts: dict[str, Any] = {}
        for word in words:
            name, value = _part(word)
            if name in parts:
                raise UserError(f"“{word}” is the second word to say which {name}.", do="Say it once.")
            parts[name] = value
        parts.pop("all", None)
        return Selection(**parts)


def _part(word: str) -> tuple[str, Any]:
    name, _, value = word.partition(":")
    try:
        if word == "all":
            return "all", None
        if word in ("labels", "imports"):
            return "origin", word
        if name in ("source", "person", "tag") and value:
            return name, value
        if name == "last" and int(value) > 0:
            return "limit", int(value)
        if name == "since":
            return "since", _utc(datetime.fromisoformat(value))
    except ValueError:
        pass
    raise UserError(
        f"“{word}” is no selection of examples.",
        do="Use all, labels, imports, source:NAME, person:NAME, tag:NAME, last:100, since:2026-01-31,"
        " or several of them with commas between.",
    )


def _utc(time: datetime) -> str:
    return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).isoformat(
        timespec="microseconds"
    )
