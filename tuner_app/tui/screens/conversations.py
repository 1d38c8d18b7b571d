"""Earlier conversations."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import chats
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.times import ago
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class ConversationsScreen(TunerScreen):
    """The list, latest first: Enter opens one, Delete puts one away."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,d", "put_away", "put away (kept)", key_display="d"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def compose(self) -> ComposeResult:
        yield TopBar("conversations")
        yield OptionList(markup=False)
        yield Notice()
        yield KeyBar("open")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._load()

    @work
    async def _load(self) -> None:
        rows = self.query_one(OptionList)
        try:
            listed = await self.tuner.database(chats.conversations)
        except UserError as error:
            self.notice.fail(error)
            return
        rows.clear_options()
        for row in listed:
            title = one_line(row.title, 200) or "untitled"
            text = Content.assemble((f"{ago(row.updated):>14}  ", "$foreground-muted"), title)
            rows.add_option(Option(text, id=str(row.id)))
        if not listed:
            self.notice.say("No conversations yet: Esc goes back to the chat.")
        rows.highlighted = 0 if listed else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.tuner.open_conversation(int(event.option_id or 0))

    def action_put_away(self) -> None:
        rows = self.query_one(OptionList)
        if rows.highlighted is not None:
            chosen = rows.get_option_at_index(rows.highlighted)
            self._put_away(int(chosen.id or 0))

    @work
    async def _put_away(self, conversation_id: int) -> None:
        try:
            await self.tuner.database(chats.archive, conversation_id)
        except UserError as error:
            self.notice.fail(error)
            return
        self._load()
        self.notice.say("Put away. Its messages and labels stay in the database.")
