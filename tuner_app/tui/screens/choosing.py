"""Bases and adapters: which one answers, and what each takes and is good for."""

from textual import work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app import fit
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.store.run_rows import AdapterRow, Base
from tuner_app.tui import model_list
from tuner_app.tui.model_list import Entry, Line, Served
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.line_field import LineField
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class ChoosingScreen(TunerScreen):
    """Bases, and under each the adapters that were trained on it, each under what it went on from."""

    DEFAULT_CSS = """
    ChoosingScreen #about { height: auto; max-height: 6; padding: 0 1; background: $surface; }
    ChoosingScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    ChoosingScreen Input { display: none; }
    ChoosingScreen Input.-asked { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []
        self._served: list[str] | None = None  # what another server has, once it has told
        self._entries: list[Entry] = []
        self._begins: Entry | None = None  # where the cursor is put, until the person moves it
        self._to_leave: Line | None = None  # the model of this machine that Enter lets answer, not the server

    def compose(self) -> ComposeResult:
        yield TopBar("models")
        yield OptionList(markup=False)
        yield Static(markup=False, id="about")
        yield Notice()
        yield LineField(compact=True)
        yield KeyBar("let it answer", field="go on")

    def on_mount(self) -> None:
        self.listed.focus()
        self.reload()
        if self.tuner.settings.chat_url:
            self._ask_server()

    @property
    def listed(self) -> OptionList:
        """The widget that lists them."""
        return self.query_one(OptionList)

    @property
    def _highlighted(self) -> Entry | None:
        at = self.listed.highlighted
        return self._entries[at] if at is not None and at < len(self._entries) else None

    @property
    def chosen(self) -> Base | AdapterRow | None:
        """The base or adapter that is highlighted; None for a server's model."""
        entry = self._highlighted
        return entry.row if isinstance(entry, Line) else None

    @work
    async def reload(self) -> None:
        """Read bases and adapters, and list them."""
        try:
            self.lines = await self.tuner.database(
                model_list.lines, self.tuner.home, self.tuner.settings.base
            )
        except UserError as error:
            self.notice.fail(error)
            return
        self._list_all()

    @work
    async def _ask_server(self) -> None:
        try:
            self._served = await self.tuner.model_link.served(self.tuner.settings)
        except UserError as error:
            self._served = []
            self.notice.fail(error)
        if self.is_attached and self.lines:
            self._list_all()

    def _list_all(self) -> None:
        """List what is known now; the cursor stays, or begins at the model that answers."""
        settings, shown, before = self.tuner.settings, self.listed, self._highlighted
        at = shown.highlighted
        self._entries = model_list.entries(settings, self.lines, self._served)
        answers = [self._answers(entry) for entry in self._entries]
        shown.clear_options()
        shown.add_options(
            Option(model_list.content(entry, now), disabled=isinstance(entry, str))
            for entry, now in zip(self._entries, answers, strict=True)
        )
        if before == self._begins:
            rest = [number for number, entry in enumerate(self._entries) if not isinstance(entry, str)]
            at = answers.index(True) if True in answers else next(iter(rest), None)
            self._begins = self._entries[at] if at is not None else None
        elif before in self._entries:
            at = self._entries.index(before)
        shown.highlighted = min(at or 0, len(self._entries) - 1) if self._entries else None

    def _answers(self, entry: Entry) -> bool:
        settings = self.tuner.settings
        adapter = self.tuner.model_link.named(settings).adapter
        of_server = isinstance(entry, Served)
        if isinstance(entry, str) or of_server != bool(settings.chat_url):
            return False
        return model_list.choice(entry, self.lines, settings) == (settings.base, adapter)

    # --- what is known of the one that is highlighted

    def on_option_list_option_highlighted(self) -> None:
        self._to_leave = None
        self._describe()

    @work(exclusive=True, group="about")
    async def _describe(self) -> None:
        entry, row = self._highlighted, self.chosen
        if isinstance(entry, Served):
            self._show_about([f"a model of {self.tuner.settings.chat_url}: it is asked for as {entry.name}"])
        elif isinstance(row, AdapterRow):
            self._show_about([f"{row.folder}", *([f"note: {row.note}"] if row.note else [])])
        elif row:
            try:
                about = await in_background(lambda: fit.about(row.source))
            except UserError as error:
                about = str(error).split("\n")
            self._show_about(about + ([f"note: {row.note}"] if row.note else []))

    def _show_about(self, lines: list[str]) -> None:
        content = Content("\n").join(Content(one_line(line, 400)) for line in lines)
        self.query_one("#about", Static).update(content)

    # --- choosing

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        entry, row = self._entries[event.option_index], self.chosen
        if isinstance(row, AdapterRow) and row.is_reward:
            self.notice.fail("A reward model scores answers: it cannot give any.")
        elif isinstance(entry, Line) and (url := self.tuner.settings.chat_url) and self._to_leave != entry:
            self._to_leave = entry
            self.notice.fail(
                f"{url} answers, not this machine. Enter again takes chat_url out of the settings."
            )
        elif not isinstance(entry, str):
            here = isinstance(entry, Line)
            self.let_answer(*model_list.choice(entry, self.lines, self.tuner.settings), here=here)

    def let_answer(self, base: str, adapter: str, *, here: bool = True) -> None:
        """Let a model answer from now on: `here` on this machine, else on the settings' server."""
        try:
            self.tuner.choose_model(base=base, adapter=adapter, here=here)
        except UserError as error:
            self.notice.fail(error)
        else:
            self.tuner.action_chat()
