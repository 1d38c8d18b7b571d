"""What a run was asked to do, on which data, and what is kept of it."""

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import UserError
from tuner_app.clean import visible
from tuner_app.paths import Home
from tuner_app.run_details import details
from tuner_app.store import Store, runs
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar


class RunDetailsScreen(TunerScreen):
    """Name by name, on a page that scrolls."""

    DEFAULT_CSS = """
    RunDetailsScreen VerticalScroll { height: 1fr; padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    RunDetailsScreen Horizontal { height: auto; }
    RunDetailsScreen .name { width: 13; color: $foreground-muted; }
    RunDetailsScreen .value { width: 1fr; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i", "app.pop_screen", "back", key_display="esc"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run_name = name

    def compose(self) -> ComposeResult:
        yield TopBar(f"settings and data of {self._run_name}")
        yield VerticalScroll()
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()

    @work
    async def _load(self) -> None:
        try:
            found = await self.tuner.database.beside(_details, self.tuner.home, self._run_name)
        except UserError as error:
            self.notice.fail(error)
            return
        if not self.is_attached:
            return
        page = self.query_one(VerticalScroll)
        await page.mount_all(
            Horizontal(Static(Content(name), classes="name"), Static(Content(visible(text)), classes="value"))
            for name, text in found.items()
        )
        page.focus()


def _details(store: Store, home: Home, name: str) -> dict[str, str]:
    run = runs.get(store, name)
    return details(store, home, run) if run else {}
