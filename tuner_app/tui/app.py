"""The terminal app: what all screens share, and the way between them."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.reactive import var
from textual.screen import ModalScreen, Screen
from textual.worker import WorkerFailed

from engine.errors import UserError
from tuner_app import faults
from tuner_app import settings as settings_file
from tuner_app.conversing.link import ModelLink, State
from tuner_app.paths import Home
from tuner_app.run_facts import STATUS, recent
from tuner_app.store import Store
from tuner_app.tui import themes
from tuner_app.tui.database import Database
from tuner_app.tui.drafts import Drafts
from tuner_app.tui.endings import heed_signals
from tuner_app.tui.held import HeldApp
from tuner_app.tui.in_order import InOrderApp
from tuner_app.tui.messages import Link, StoreChanged
from tuner_app.tui.screens.chat import ChatScreen
from tuner_app.tui.sparing import SparingApp
from tuner_app.tui.tidying import TidyApp
from tuner_app.tui.watcher import Watcher

FAULT_SECONDS = 60.0

# Screens that are not there at the first paint are imported when they are first opened.
_SCREENS = {
    "conversations": ("tuner_app.tui.screens.conversations", "ConversationsScreen"),
    "models": ("tuner_app.tui.screens.models", "ModelsScreen"),
    "batches": ("tuner_app.tui.screens.batches", "BatchesScreen"),
    "train": ("tuner_app.tui.screens.train", "TrainScreen"),
    "runs": ("tuner_app.tui.screens.runs", "RunsScreen"),
    "data": ("tuner_app.tui.screens.data", "DataScreen"),
    "help": ("tuner_app.tui.screens.help", "HelpScreen"),
    "tour": ("tuner_app.tui.screens.tour", "TourScreen"),
}


def run(home: Home, store: Store) -> int:
    """Open the app on a home with its `store`, which is closed in the end; 1 when a fault ended it."""
    with closing(store):
        app = TunerApp(home, store)
        app.run()
        return app.return_code or 0


class TunerApp(TidyApp, InOrderApp, SparingApp, HeldApp):
    """Chat, label, train, and chat with the result."""

    TITLE = "tuner"
    KEYS_OF = "Everywhere"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new_conversation", "new", tooltip="start a new conversation"),
        Binding("ctrl+l", "go('conversations')", "chats", id="conversations", tooltip="all conversations"),
        Binding("ctrl+o", "go('models')", "model", id="models", tooltip="which model answers"),
        Binding("ctrl+g", "go('batches')", "label", id="batches", tooltip="batches of answers to judge"),
        Binding("ctrl+t", "go('train')", "train", id="train", tooltip="train on labels and imports"),
        Binding("ctrl+r", "go('runs')", "runs", id="runs", tooltip="training runs: look, stop, resume"),
        Binding("f4", "go('data')", "data", key_display="F4", id="data", tooltip="all examples and labels"),
        Binding("question_mark,f1", "go('help')", "help", key_display="?", id="help", tooltip="these keys"),
        Binding("ctrl+p", "command_palette", "", show=False, priority=True, tooltip="every command"),
        Binding("ctrl+q", "quit", "", show=False, priority=True, tooltip="quit; runs and chat go on"),
        Binding("ctrl+z", "suspend_process", "", show=False, tooltip="put aside; fg takes up again"),
    ]

    settings: var[settings_file.Settings] = var(settings_file.Settings)
    link: var[Link] = var(Link("off"))
    training: var[str] = var("")

    def __init__(self, home: Home, store: Store) -> None:
        super().__init__()
        self.home = home
        self.store = store
        self.database = Database(store)
        self.drafts = Drafts(home.drafts, home.workers)
        self.model_link = ModelLink(home, self._link_changed)
        self._watcher = Watcher(self, home, store)
        self._chat = ChatScreen()
        self._under_way: set[int] = set()
        self._told_of_drafts = False

    def on_mount(self) -> None:
        self.push_screen(self._chat)  # as the default screen it would not be drawn anew at a new size
        self._watcher.start()
        heed_signals(self)
        themes.follow(self)
        if not self.home.settings.exists():  # a first start
            self.call_after_refresh(self.action_go, "tour")

    def on_unmount(self) -> None:
        self._watcher.stop()
        self.database.close()
        self.drafts.close()

    def choose_model(self, *, base: str, adapter: str, here: bool = False) -> None:
        """Let another model answer from now on, after a restart too; `here` instead of another server's."""
        saved = settings_file.load(self.home)
        url = "" if here else saved.chat_url
        settings_file.save(self.home, replace(saved, base=base, adapter=adapter, chat_url=url))
        self._chat.connect()

    def load_settings(self) -> None:
        """Read the settings' file; a UserError, and the settings as they were, where it is wrong."""
        self.settings = settings_file.load(self.home)
        self.set_keymap(self.settings.keys)
        themes.use(self)

    def on_store_changed(self, event: StoreChanged) -> None:
        """Pass it on to the screens."""
        for screen in self.screen_stack:
            screen.post_message(StoreChanged(event.events))
        self._look_at_runs()

    @work
    async def _look_at_runs(self) -> None:
        """Keep the top bar's word on the runs under way, and tell of those that ended."""
        try:
            listed = await self.database(recent, self.home)
        except UserError:
            return  # the watcher has said so
        for run, _ in listed:
            if run.id in self._under_way and run.status != "running":
                self.notify(f"{run.title}: {STATUS[run.status]}. Ctrl+R shows the runs.", markup=False)
        self._under_way = {run.id for run, _ in listed if run.status == "running"}
        self.training = ", ".join(far for _, far in reversed(listed) if far)

    def open_screen(self, screen: Screen[None]) -> None:
        """Show `screen` over the chat, in place of what was there."""
        self.action_chat()
        self.push_screen(screen)

    def open_conversation(self, conversation_id: int | None, message_id: int | None = None) -> None:
        """Show a conversation, at one of its messages if need be, or an empty page for a new one."""
        self.action_chat()
        self._chat.open_conversation(conversation_id, message_id)

    def action_chat(self) -> None:
        while self.screen is not self._chat:
            self.pop_screen()

    async def action_quit(self) -> None:
        """Quit, at the second time if what is being written cannot be kept."""
        why = self.drafts.write()
        if why and not self._told_of_drafts:
            self._told_of_drafts = True
            lost = f"What you are writing cannot be kept: {why}. Ctrl+Q again quits and loses it."
            self.notify(lost, severity="error", timeout=30, markup=False)
            return
        await self.leave()

    async def leave(self) -> None:
        """End the app; half an answer is kept."""
        await self._chat.stop_and_keep()
        self.exit()

    def action_go(self, name: str) -> None:
        module, screen = _SCREENS[name]
        kind: type[Screen[None]] = getattr(import_module(module), screen)
        if isinstance(self.screen, kind):
            return
        if issubclass(kind, ModalScreen):
            self.push_screen(kind())
        else:
            self.open_screen(kind())

    def action_new_conversation(self) -> None:
        self.open_conversation(None)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        yield SystemCommand("Tour", "The way round, in five steps", lambda: self.action_go("tour"))
        yield from import_module("tuner_app.tui.keys").commands(screen)

    def _handle_exception(self, error: Exception) -> None:
        """A fault of ours that nothing caught: its traceback is for a file, not for the person.

        What a background worker was about is given up, and the app goes on; any other fault ends it.
        """
        background = isinstance(error, WorkerFailed)
        told = faults.keep(self.home, error.error if isinstance(error, WorkerFailed) else error)
        if self._exception is None:  # which tests see
            self._exception = error
            self._exception_event.set()
        if background:
            self.notify(told, severity="error", timeout=FAULT_SECONDS, markup=False)
        else:
            self._return_code = 1
            self.panic(Text(told))

    def _link_changed(self, state: State, detail: str) -> None:
        self.link = Link(state, detail)
