"""What is done with bases and adapters: added, renamed, noted, exported, merged, deleted."""

from pathlib import Path
from typing import ClassVar, Literal

from textual import work
from textual.binding import Binding, BindingType
from textual.widgets import Input

from engine.errors import UserError
from tuner_app import bases, fit, library, words
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.errands import Errand
from tuner_app.store import models
from tuner_app.store.run_rows import AdapterRow, Base
from tuner_app.tui.screens.choosing import ChoosingScreen

Purpose = Literal["add", "rename", "note", "export", "merge"]
ASKS: dict[Purpose, str] = {
    "add": "another base: a folder, or a hub name such as org/model",
    "rename": "its new name",
    "note": "a note on it",
    "export": "a new folder for the adapter's files",
    "merge": "a new folder for the base with the adapter merged in",
}


class ModelsScreen(ChoosingScreen):
    """The list of models, with the keys for what is done with the one that is highlighted."""

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
        self._purpose: Purpose = "add"
        self._to_delete: Base | AdapterRow | None = None
        self._seen = ""  # the base that was looked at, and is added by the next Enter
        self._merging: Errand | None = None

    def on_unmount(self) -> None:
        if self._merging:
            self._merging.stop()

    def on_option_list_option_highlighted(self) -> None:
        self._to_delete = None

    def action_ask(self, purpose: Purpose) -> None:
        row = self.chosen
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
        field.value = self._proposed(purpose, row)
        field.add_class("-asked")
        field.focus()

    def _proposed(self, purpose: Purpose, row: Base | AdapterRow | None) -> str:
        if purpose == "add" or row is None:
            return ""
        if purpose in ("export", "merge"):
            return str(library.free_folder(self.tuner.home, row.name))
        return row.name if purpose == "rename" else row.note

    def on_input_changed(self) -> None:
        self._seen = ""

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if self._purpose == "add":
            await self._add(text)
        elif row := self.chosen:
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
        """Say what a base is before it is added; the second Enter adds it, and lets it answer where no other
        server does."""
        if not text:
            return
        try:
            if self._seen != text:
                self.notice.wait(f"Looking at {one_line(text, 80)} …")
                found = await self.tuner.database(bases.find, text)
                about = await in_background(lambda: fit.about(found.source))
                self._seen = text
                does = "adds it" if self.tuner.settings.chat_url else "adds it and lets it answer"
                self.notice.say("\n".join([*about, f"Enter {does}; Esc leaves it."]))
            else:
                added = await self.tuner.database(bases.register, text)
                if self.tuner.settings.chat_url:
                    self._end_asking(f"{added.name} is added.")
                else:
                    self.let_answer(added.source, "")
        except UserError as error:
            self.notice.fail(error)

    def _end_asking(self, said: str) -> None:
        self.query_one(Input).remove_class("-asked")
        self.listed.focus()
        if said:
            self.notice.say(said)
            self.reload()

    def action_leave(self) -> None:
        if self.query_one(Input).has_focus:
            self._end_asking("")
            self.notice.clear()
        else:
            self.tuner.action_chat()

    def action_delete(self) -> None:
        if row := self.chosen:
            self._delete(row)

    @work
    async def _delete(self, row: Base | AdapterRow) -> None:
        home = self.tuner.home
        try:
            if self._to_delete != row:
                await self.tuner.database(lambda store: library.check_deletable(home, store, row))
                self._to_delete = row
                bytes = next(line.bytes for line in self.lines if line.row == row)
                self.notice.wait(f"Delete {one_line(row.name, 64)}, {words.sized(bytes)}? d again does.")
                return
            said = await self.tuner.database(lambda store: library.delete(home, store, row))
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.say(said)
        self.reload()
