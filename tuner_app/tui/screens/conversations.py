"""Earlier conversations."""

import asyncio
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app.clean import one_line
from tuner_app.store import Store, chat_search, chats
from tuner_app.store.rows import Found
from tuner_app.times import ago
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.search_field import SearchField
from tuner_app.tui.widgets.title_field import TitleField
from tuner_app.tui.widgets.top_bar import TopBar

PAGE = 50
AHEAD = 40  # rows below the highlighted one, or the last in view, that are to be there
BEFORE = 20  # characters of an excerpt before what was searched for
TYPING_SECONDS = 0.15  # in which the next letter may come before a search begins


class ConversationsScreen(TunerScreen):
    """The list, latest first, of all or of those that hold a text; Enter opens one where the text is."""

    KEYS_OF = "Conversations"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/", tooltip="search titles and messages"),
        Binding("r", "rename", "rename"),
        Binding("delete,d", "archive(True)", "put away (kept)", key_display="d"),
        Binding("b", "archive(False)", "bring back"),
        Binding("v", "other_list", "put away ones", tooltip="the ones put away, or the others"),
        Binding("escape", "leave", "back", key_display="esc"),
    ]
    DEFAULT_CSS = """
    ConversationsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; overflow-x: hidden; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._archived = False
        self._rows: list[Found] = []
        self._listed = ""  # what was searched for when these were found
        self._all_there = False
        self._loading = False

    def compose(self) -> ComposeResult:
        yield TopBar("conversations")
        yield SearchField("/ searches titles and messages")
        yield OptionList(markup=False)
        yield Notice()
        yield KeyBar("open", field="open")

    def on_mount(self) -> None:
        rows = self.query_one(OptionList)
        rows.focus()
        self.watch(rows, "scroll_y", self._look_ahead, init=False)
        self._load()

    # --- what is listed

    @property
    def _search(self) -> str:
        return self.query_one("#search", Input).value.strip()

    @work(exclusive=True)
    async def _load(self, *, wait: float = 0.0) -> None:
        """List anew, from the top."""
        await asyncio.sleep(wait)
        self._loading = True
        search, archived = self._search, self._archived
        try:
            number = await self.tuner.database.beside(chat_search.count, search, archived=archived)
            found = await self.tuner.database.beside(chat_search.find, search, archived=archived, limit=PAGE)
        except UserError as error:
            self.notice.fail(error)
            return
        finally:
            self._loading = False
        self._rows, self._listed = [], search
        rows = self.query_one(OptionList)
        rows.clear_options()
        self._add(found)
        rows.highlighted = 0 if found else None
        self._tell(number)

    def _tell(self, number: int) -> None:
        place = f"conversations: {number:,}" + (" put away" if self._archived else "")
        self.query_one(TopBar).place(place + (" found" if self._search else ""))
        few = 0 < len(self._search) < chat_search.LEAST
        if few:
            self.notice.say("In titles alone: three letters or more are looked for in messages too.")
        elif number or self.query_one("#search").has_focus:
            self.notice.clear()
        elif not self._search:
            none = "Nothing is put away." if self._archived else "No conversations yet: Esc goes back."
            self.notice.say(none)
        self.refresh_bindings()

    def _add(self, found: list[Found]) -> None:
        self._all_there = len(found) < PAGE
        self._rows += found
        self.query_one(OptionList).add_options([Option(_line(row)) for row in found])

    def _look_ahead(self) -> None:
        """Have the next page there before it is looked at."""
        rows = self.query_one(OptionList)
        last_in_view = round(rows.scroll_y) + rows.size.height
        if max(rows.highlighted or 0, last_in_view) + AHEAD > len(self._rows):
            self._more()

    @work
    async def _more(self) -> None:
        if self._loading or self._all_there or not self._rows:
            return
        self._loading = True
        search, rows, last = self._search, self._rows, self._rows[-1].conversation
        try:
            found = await self.tuner.database.beside(
                chat_search.find, search, archived=self._archived, after=last, limit=PAGE
            )
        except UserError as error:
            self.notice.fail(error)
            return
        finally:
            self._loading = False
        if rows is self._rows:  # nothing else was asked for meanwhile
            self._add(found)

    def on_option_list_option_highlighted(self, _: OptionList.OptionHighlighted) -> None:
        self._look_ahead()

    # --- what the person does

    @property
    def _chosen(self) -> Found | None:
        at = self.query_one(OptionList).highlighted
        return self._rows[at] if at is not None and at < len(self._rows) else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "archive":
            return parameters != (self._archived,) and bool(self._rows)
        return action != "rename" or bool(self._rows)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._open(self._rows[event.option_index])

    def _open(self, found: Found) -> None:
        self.tuner.open_conversation(found.conversation.id, found.message_id)

    def action_search(self) -> None:
        self.query_one("#search").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "search":
            self._load(wait=TYPING_SECONDS)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "search":
            self.query_one(OptionList).focus()
            if self._chosen and self._listed == self._search:  # else it is of an earlier search
                self._open(self._chosen)

    def action_leave(self) -> None:
        """From a search back to all; from all to the chat."""
        if not self.query_one(SearchField).give_up():
            self.tuner.action_chat()

    def action_other_list(self) -> None:
        self._archived = not self._archived
        self._load()

    def action_archive(self, away: bool) -> None:
        if self._chosen:
            self._archive(self._chosen, away)

    @work
    async def _archive(self, found: Found, away: bool) -> None:
        try:
            await self.tuner.database(chats.archive, found.conversation.id, away)
        except UserError as error:
            self.notice.fail(error)
            return
        at = self._rows.index(found)
        del self._rows[at]
        rows = self.query_one(OptionList)
        rows.remove_option_at_index(at)
        rows.highlighted = min(at, len(self._rows) - 1) if self._rows else None
        search, archived = self._search, self._archived
        self._tell(await self.tuner.database.beside(chat_search.count, search, archived=archived))
        title = one_line(found.conversation.title, 40) or "untitled"
        kept = "Its messages and labels stay in the database."
        self.notice.say(f"Put away: “{title}”. {kept}" if away else f"Back in the list: “{title}”.")

    async def action_rename(self) -> None:
        """Put a field in the place of the title."""
        if self._chosen and not self.query(TitleField):
            rows = self.query_one(OptionList)
            above = self._rows[: self.query_one(OptionList).highlighted]
            line = sum(2 if row.message_id else 1 for row in above)
            where = rows.region.y + line - round(rows.scroll_y)
            await self.mount(TitleField(self._chosen.conversation.title, line=where))

    def on_title_field_left(self, event: TitleField.Left) -> None:
        self.query_one(OptionList).focus()
        if event.title and self._chosen:
            self._rename(self._chosen, event.title)

    @work
    async def _rename(self, found: Found, title: str) -> None:
        try:
            renamed = await self.tuner.database(_renamed, found, title)
        except UserError as error:
            self.notice.fail(error)
            return
        at = self._rows.index(found)
        self._rows[at] = renamed
        self.query_one(OptionList).replace_option_prompt_at_index(at, _line(renamed))
        self.notice.say("Renamed.")


def _renamed(store: Store, found: Found, title: str) -> Found:
    chats.rename(store, found.conversation.id, title)
    return Found(chats.get(store, found.conversation.id), found.message_id, found.excerpt)


def _line(found: Found) -> Content:
    """When, and the title; below it, where a search found its text, with ›‹ around it."""
    title = one_line(found.conversation.title, 200) or "untitled"
    line = Content.assemble((f"{ago(found.conversation.updated):>14}  ", "$foreground-muted"), title)
    if found.message_id is None:
        return line
    before, hit, after = (_flat(part) for part in found.excerpt)
    if len(before) > BEFORE:
        before = "…" + before[-BEFORE:]
    marked = Content.assemble(
        (" " * 16 + before, "$foreground-muted"),
        (f"›{hit}‹", "bold $text-accent"),
        (after, "$foreground-muted"),
    )
    return Content("\n").join([line, marked])


def _flat(text: str) -> str:
    """An excerpt on one line, with a space where it begins or ends with some."""
    inner = one_line(text, 80)
    return " " * (inner != "" and text[0].isspace()) + inner + " " * text[-1:].isspace()
