"""Batches of prompts whose answers are to be judged."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.store import Store, batches
from tuner_app.store.rows import Batch, Progress
from tuner_app.times import ago
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.label import LabelScreen
from tuner_app.tui.screens.new_batch import NewBatchScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

NEW = "new"


class BatchesScreen(TunerScreen):
    """The list, newest first: Enter labels one; the last line makes a new one, as `n` does."""

    KEYS_OF = "Batches"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "new batch", tooltip="choose prompts whose answers you will judge"),
        Binding("delete,d", "put_away", "put away (kept)", key_display="d", tooltip="take out of the list"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    DEFAULT_CSS = "BatchesScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }"

    def compose(self) -> ComposeResult:
        yield TopBar("label")
        yield OptionList(markup=False)
        yield Notice()
        yield KeyBar("label")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_screen_resume(self) -> None:
        self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        rows = self.query_one(OptionList)
        store = self.tuner.store
        try:
            listed = await in_background(lambda: _listed(store))
        except UserError as error:
            self.notice.fail(error)
            return
        at = rows.highlighted or 0
        rows.clear_options()
        rows.add_options(Option(_line(batch, far), id=str(batch.id)) for batch, far in listed)
        rows.add_option(Option(Content.assemble(("+ ", "bold"), "a new batch"), id=NEW))
        rows.highlighted = min(at, len(listed))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_id == NEW:
            self.action_new()
        else:
            self._open(int(event.option_id or 0))

    def action_new(self) -> None:
        self.app.push_screen(NewBatchScreen())

    @work
    async def _open(self, batch_id: int) -> None:
        try:
            batch = await self.tuner.database(batches.get, batch_id)
        except UserError as error:
            self.notice.fail(error)
            return
        self.app.push_screen(LabelScreen(batch))

    def action_put_away(self) -> None:
        rows = self.query_one(OptionList)
        chosen = rows.get_option_at_index(rows.highlighted) if rows.highlighted is not None else None
        if chosen and chosen.id != NEW:
            self._put_away(int(chosen.id or 0))

    @work
    async def _put_away(self, batch_id: int) -> None:
        try:
            await self.tuner.database(batches.archive, batch_id)
        except UserError as error:
            self.notice.fail(error)
            return
        self._load()
        self.notice.say("Put away. Its answers and labels stay in the database.")


def _listed(store: Store) -> list[tuple[Batch, Progress]]:
    return [(batch, batches.progress(store, batch.id)) for batch in batches.listed(store)]


def _line(batch: Batch, far: Progress) -> Content:
    state = f"{far.judged:,}/{far.prompts - far.failed:,}"
    more = [f"{far.ready:,} ready"] if far.ready else ["done"] if not far.left else []
    more += [f"{far.failed:,} without answers"] if far.failed else []
    by = " against ".join(maker.adapter or "the base" for maker in batch.makers) or "stored answers"
    return Content.assemble(
        (f"{ago(batch.created):>10}  ", "$foreground-muted"),
        (f"{one_line(batch.name, 24):<24}  ", "bold"),
        f"{state:>9}  {', '.join(more)}",
        (f"   {batch.kind} by {one_line(by, 40)}", "$foreground-muted"),
    )
