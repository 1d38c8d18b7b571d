"""Which model answers."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app import bases
from tuner_app.clean import one_line
from tuner_app.store import Store, models
from tuner_app.store.rows import AdapterRow, Base
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.times import ago
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class ModelsScreen(TunerScreen):
    """Bases, and under each the adapters that were trained on it, each under what it went on from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "another base", key_display="tab"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Base | AdapterRow] = []
        self._sources: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        yield TopBar("which model answers")
        yield OptionList(markup=False)
        yield Notice()
        yield Input(placeholder="Another base: a folder, or a hub name such as org/model", compact=True)
        yield KeyBar("let it answer")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._load()

    @work
    async def _load(self) -> None:
        current = self.tuner.settings
        try:
            tree = await self.tuner.database(_lineage, current.base)
        except UserError as error:
            self.notice.fail(error)
            tree = await self.tuner.database(models.lineage)
        self._rows = [row for _, row in tree]
        self._sources = {row.id: row.source for _, row in tree if isinstance(row, Base)}
        shown = self.query_one(OptionList)
        shown.clear_options()
        answering = 0
        for number, (depth, row) in enumerate(tree):
            now = self._choice(row) == (current.base, current.adapter)
            answering = number if now else answering
            shown.add_option(Option(_line(depth, row, now), disabled=_is_reward(row)))
        shown.highlighted = answering if tree else None

    def _choice(self, row: Base | AdapterRow) -> tuple[str, str]:
        return (row.source, "") if isinstance(row, Base) else (self._sources[row.base_id], row.name)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        base, adapter = self._choice(self._rows[event.option_index])
        self._choose(base, adapter)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            try:
                added = await self.tuner.database(bases.register, event.value.strip())
            except UserError as error:
                self.notice.fail(error)
            else:
                self._choose(added.source, "")

    def _choose(self, base: str, adapter: str) -> None:
        try:
            self.tuner.choose_model(base=base, adapter=adapter)
        except UserError as error:
            self.notice.fail(error)
        else:
            self.tuner.action_chat()


def _lineage(store: Store, base: str) -> list[tuple[int, Base | AdapterRow]]:
    bases.register(store, base)
    return models.lineage(store)


def _is_reward(row: Base | AdapterRow) -> bool:
    return isinstance(row, AdapterRow) and row.is_reward


def _made(row: AdapterRow) -> str:
    note = f"trained {ago(row.created)}"
    note += f", led by {one_line(row.reward, 64)}" if row.reward else ""
    return f"{note}; a reward model: it cannot chat" if row.is_reward else note


def _line(depth: int, row: Base | AdapterRow, now: bool) -> Content:
    name = one_line(row.name, 64)
    note = one_line(row.source, 120) if isinstance(row, Base) else _made(row)
    return Content.assemble(
        ("● " if now else "  ", "$text-success"),
        ("   " * depth + ("└ " if depth else ""), "$foreground-muted"),
        (name, "bold"),
        ("" if note == name else f"  {note}", "$foreground-muted"),
        ("  answers now" if now else "", "$text-success"),
    )
