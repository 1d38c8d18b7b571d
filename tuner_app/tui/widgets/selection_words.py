"""The words of a selection (`store.selection`), completed while they are typed."""

from collections.abc import Sequence

from textual.suggester import Suggester

MARKS = "all", "labels", "imports", "last:100", "since:2026-01-31"


class SelectionWords(Suggester):
    """Completes the last word of several between commas; → takes what is proposed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.known: Sequence[str] = MARKS

    def matching(self, value: str) -> list[str]:
        """The words that the last one could become."""
        typed = value.rpartition(",")[2].lstrip()
        return [word for word in self.known if word.lower().startswith(typed.lower()) and word != typed]

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with its last word completed."""
        before, comma, last = value.rpartition(",")
        found = self.matching(value) if last.strip() else []
        space = last[: len(last) - len(last.lstrip())]
        return f"{before}{comma}{space}{found[0]}" if found else None
