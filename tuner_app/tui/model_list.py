"""The lines of the list of models: what another server has, and the tree of bases and adapters."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from textual.content import Content

from engine.errors import UserError
from tuner_app import bases, library, words
from tuner_app.clean import one_line
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, models
from tuner_app.store.run_rows import AdapterRow, Base
from tuner_app.times import ago


@dataclass(frozen=True)
class Line:
    """One model of the tree, with what it takes on the disk."""

    depth: int
    row: Base | AdapterRow
    bytes: int


@dataclass(frozen=True)
class Served:
    """A model of the server that the settings name, by its name there."""

    name: str

    @property
    def adapter(self) -> str:
        """The name that chooses it."""
        return "" if self.name == "base" else self.name


Entry = Line | Served | str  # a str is said between them, and cannot be chosen


def lines(store: Store, home: Home, base: str) -> list[Line]:
    """Bases, and under each the adapters that were trained on it, each under what it went on from."""
    with suppress(UserError):  # the one that answers may be gone: the others are there to choose from
        bases.register(store, base)
    if not models.bases(store):
        with suppress(UserError):
            bases.register(store, bases.BUILTIN)
    return [Line(depth, row, library.size(home, row)) for depth, row in models.lineage(store)]


def entries(settings: Settings, tree: Sequence[Line], served: Sequence[str] | None) -> list[Entry]:
    """All that is listed; `served` are the names that the server has, None until it has told them."""
    if not settings.chat_url:
        return list(tree)
    told = "" if served else "; its models are unknown" if served is not None else " …"
    server = f"{settings.chat_url} answers (chat_url){told}"
    return [server, *map(Served, served or ()), "On this machine", *tree]


def choice(entry: Line | Served, tree: Sequence[Line], settings: Settings) -> tuple[str, str]:
    """(base, adapter) that are chosen with it."""
    if isinstance(entry, Served):
        return settings.base, entry.adapter
    row = entry.row
    if isinstance(row, Base):
        return row.source, ""
    sources = {line.row.id: line.row.source for line in tree if isinstance(line.row, Base)}
    return sources[row.base_id], row.name


def content(entry: Entry, now: bool) -> Content:
    """One line; `now` for the model that answers."""
    if isinstance(entry, str):
        return Content.styled(one_line(entry, 200), "$foreground-muted")
    made, said = "", ""
    if isinstance(entry, Served):
        parts = [(one_line(entry.name, 64), "bold")]
    else:
        row, depth = entry.row, entry.depth
        name = one_line(row.name, 64)
        made = one_line(row.source, 60) if isinstance(row, Base) else _made(row)
        made = "" if made == name else f"  {made}"
        said = f"  “{one_line(row.note, 60)}”" if row.note else ""
        parts = [
            ("   " * depth + ("└ " if depth else ""), "$foreground-muted"),
            (name, "bold"),
            (f"  {words.sized(entry.bytes)}", "$foreground-muted"),
        ]
    mark, ending = (("● ", "$text-success"), ("  answers now", "$text-success")) if now else ("  ", "")
    return Content.assemble(mark, *parts, ending, (said, "italic"), (made, "$foreground-muted"))


def _made(row: AdapterRow) -> str:
    note = f"trained {ago(row.created)}"
    note += f", led by {one_line(row.reward, 64)}" if row.reward else ""
    return f"{note}; a reward model: it cannot chat" if row.is_reward else note
