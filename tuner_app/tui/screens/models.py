"""Bases and adapters: which one answers, what each takes and is good for, and what is done with them."""

from pathlib import Path
from typing import ClassVar, Literal

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app import bases, fit, library, words
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.errands import Errand
from tuner_app.store import models
from tuner_app.store.rows import AdapterRow, Base
from tuner_app.tui import model_list
from tuner_app.tui.model_list import Entry, Line, Served
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

Purpose = Literal["add", "rename", "note", "export", "merge"]
ASKS: dict[Purpose, str] = {
    "add": "another base: a folder, or a hub name such as org/model",
    "rename": "its new name",
    "note": "a note on it",
    "export": "a new folder for the adapter's files",
    "merge": "a new folder for the base with the adapter merged in",
}


class ModelsScreen(TunerScreen):
    """Bases, and under each the adapters that were trained on it, each under what it went on from."""

    DEFAULT_CSS = """
    ModelsScreen #about { height: auto; max-height: 6; padding: 0 1; background: $surface; }
    ModelsScreen Input { display: none; }
    ModelsScreen Input.-asked { display: block; }
    """
    KEYS_OF = "Models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "ask('add')", "add a base", tooltip="look at another base, and let it answer"),
        Binding("r", "ask('rename')", "rename"),
        Binding("n", "ask('note')", "note"),
        Binding("m", "ask('merge')", "merge", tooltip="write base and adapter as one model, in safetensors"),
        Binding("x", "ask('export')", "export", tooltip="copy the adapter's files, as peft reads them"),
        Binding("d,delete", "delete", "delete", key_display="d", tooltip="delete; asks once"),
        Binding("escape", "leave", "back", key_display="esc"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tree: list[Line] = []
        self._served: list[str] | None = None  # what another server has, once it has told
        self._entries: list[Entry] = []
        self._begins: Entry | None = None  # where the cursor is put, until the person moves it
        self._purpose: Purpose = "add"
        self._to_delete: Base | AdapterRow | None = None
        self._seen = ""  # the base that was looked at, and is added by the next Enter
        self._merging: Errand | None = None

    def compose(self) -> ComposeResult:
        yield TopBar("models")
        yield OptionList(markup=False)
        yield Static(markup=False, id="about")
        yield Notice()
        yield Input(compact=True)
        yield KeyBar("let it answer", field="go on")

    def on_mount(self) -> None:
        self._list.focus()
        self._load()
        if self.tuner.settings.chat_url:
            self._ask_server()

    def on_unmount(self) -> None:
        if self._merging:
            self._merging.stop()

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    @property
    def _highlighted(self) -> Entry | None:
        at = self._list.highlighted
        return self._entries[at] if at is not None and at < len(self._entries) else None

    @property
    def _chosen(self) -> Base | AdapterRow | None:
        entry = self._highlighted
        return entry.row if isinstance(entry, Line) else None

    @work
    async def _load(self) -> None:
        try:
            self._tree = await self.tuner.database(
                model_list.lines, self.tuner.home, self.tuner.settings.base
            )
        except UserError as error:
            self.notice.fail(error)
            return
        self._list_all()

    @work
    async def _ask_server(self) -> None:
        try:
            client = await self.tuner.model_link.client(self.tuner.settings)
            self._served = await client.models()
        except UserError as error:
            self._served = []
            self.notice.fail(error)
        if self.is_attached and self._tree:
            self._list_all()

    def _list_all(self) -> None:
        """List what is known now; the cursor stays, or begins at the model that answers."""
        settings, shown, before = self.tuner.settings, self._list, self._highlighted
        at = shown.highlighted
        self._entries = model_list.entries(settings, self._tree, self._served)
        answers = [self._answers(entry) for entry in self._entries]
        shown.clear_options()
        shown.add_options(
            Option(model_list.content(entry, now), disabled=isinstance(entry, str))
            for entry, now in zip(self._entries, answers, strict=True)
        )
        if before == self._begins:
            rest = [number for number, entry in enumerate(self._entries) if not isinstance(entry, str)]
            at = answers.index(True) if True in answers else rest[0]
            self._begins = self._entries[at]
        elif before in self._entries:
            at = self._entries.index(before)
        shown.highlighted = min(at or 0, len(self._entries) - 1)

    def _answers(self, entry: Entry) -> bool:
        settings = self.tuner.settings
        of_server = isinstance(entry, Served)
        if isinstance(entry, str) or of_server != bool(settings.chat_url):
            return False
        return model_list.choice(entry, self._tree, settings) == (settings.base, settings.adapter)

    # --- what is known of the one that is highlighted

    def on_option_list_option_highlighted(self) -> None:
        self._to_delete = None
        self._describe()

    @work(exclusive=True, group="about")
    async def _describe(self) -> None:
        entry, row = self._highlighted, self._chosen
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
        entry, row = self._entries[event.option_index], self._chosen
        if isinstance(row, AdapterRow) and row.is_reward:
            self.notice.fail("A reward model scores answers: it cannot give any.")
        elif not isinstance(entry, str):
            self._let_answer(*model_list.choice(entry, self._tree, self.tuner.settings))

    def _let_answer(self, base: str, adapter: str) -> None:
        try:
            self.tuner.choose_model(base=base, adapter=adapter)
        except UserError as error:
            self.notice.fail(error)
        else:
            self.tuner.action_chat()

    # --- doing something with it

    def action_ask(self, purpose: Purpose) -> None:
        row = self._chosen
        if purpose != "add" and row is None:
            self.notice.fail("Nothing but answering can be asked of a server's model.")
            return
        if purpose in ("merge", "export") and not isinstance(row, AdapterRow):
            self.notice.fail("A base is a model of its own already: choose an adapter.")
            return
        self._purpose, self._seen = purpose, ""
        self.notice.clear()
        field = self.query_one(Input)
        field.placeholder = ASKS[purpose]
        field.value = {"rename": row.name, "note": row.note}.get(purpose, "") if row else ""
        field.add_class("-asked")
        field.focus()

    def on_input_changed(self) -> None:
        self._seen = ""

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if self._purpose == "add":
            await self._add(text)
        elif row := self._chosen:
            await self._do(row, text)

    async def _do(self, row: Base | AdapterRow, text: str) -> None:
        home = self.tuner.home
        try:
            if self._purpose == "rename":
                await self.tuner.database(lambda store: library.rename(home, store, row, text))
                self.tuner.load_settings()
                self._end_asking(f"{row.name} is called {text} now.")
            elif self._purpose == "note":
                await self.tuner.database(models.annotate, row, text)
                self._end_asking("The note is kept.")
            elif isinstance(row, AdapterRow) and self._purpose == "export":
                target = Path(text)
                await in_background(lambda: library.export(home, row, target))
                self._end_asking(f"The adapter is in {text}: peft and its friends read it.")
            elif isinstance(row, AdapterRow):
                self._merging = await self.tuner.database(
                    lambda store: library.merge(home, store, row, Path(text))
                )
                self._wait_for_merge(self._merging, text)
        except UserError as error:
            self.notice.fail(error)

    @work
    async def _wait_for_merge(self, merging: Errand, target: str) -> None:
        self._end_asking("")
        self.notice.wait(f"Merging into {target} …")
        try:
            bytes = await in_background(merging.answer)
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
            return
        if self.is_attached:
            self.notice.say(f"{target} has the merged model, {words.sized(bytes)}: any program reads it.")

    async def _add(self, text: str) -> None:
        """Say what a base is before it is added; the second Enter adds it and lets it answer."""
        if not text:
            return
        try:
            if self._seen != text:
                self.notice.wait(f"Looking at {one_line(text, 80)} …")
                found = await self.tuner.database(bases.find, text)
                about = await in_background(lambda: fit.about(found.source))
                self._seen = text
                self.notice.say("\n".join([*about, "Enter adds it and lets it answer; Esc leaves it."]))
            else:
                added = await self.tuner.database(bases.register, text)
                self._let_answer(added.source, "")
        except UserError as error:
            self.notice.fail(error)

    def _end_asking(self, said: str) -> None:
        self.query_one(Input).remove_class("-asked")
        self._list.focus()
        if said:
            self.notice.say(said)
            self._load()

    def action_leave(self) -> None:
        if self.query_one(Input).has_focus:
            self._end_asking("")
            self.notice.clear()
        else:
            self.tuner.action_chat()

    def action_delete(self) -> None:
        if row := self._chosen:
            self._delete(row)

    @work
    async def _delete(self, row: Base | AdapterRow) -> None:
        home = self.tuner.home
        try:
            if self._to_delete != row:
                await self.tuner.database(lambda store: library.check_deletable(home, store, row))
                self._to_delete = row
                bytes = next(line.bytes for line in self._tree if line.row == row)
                self.notice.fail(f"Delete {one_line(row.name, 64)}, {words.sized(bytes)}? d again does.")
                return
            said = await self.tuner.database(lambda store: library.delete(home, store, row))
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.say(said)
        self._load()
