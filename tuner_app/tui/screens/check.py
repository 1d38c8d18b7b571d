"""What a run would do, seen before it starts."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import UserError
from engine.findings import Findings
from tuner_app import launch, machines, report
from tuner_app.checking import Checking
from tuner_app.clean import visible
from tuner_app.launch import Plan
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.store.rows import Run
from tuner_app.tui.link import in_background
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.run import RunScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.workers import supervisor

STAGES = {"loading": "Loading the base", "data": "Reading the rows"}
SHADES: dict[report.Kind, str] = {
    "mark": "bold",
    "trained": "$text-success underline",
    "trained too": "$text-accent underline",
    "read": "",
    "read too": "$foreground-muted",
}


class CheckScreen(TunerScreen):
    """Rows, loss mask, time and memory; Ctrl+S starts the run, also before all of it is known."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start training"),
        Binding("escape", "app.pop_screen", "back to the form", key_display="esc"),
    ]

    def __init__(self, plan: Plan, where: Machines | None = None) -> None:
        super().__init__()
        self._where = where or Machines()
        self._planned = plan
        self._checking: Checking | None = None

    def compose(self) -> ComposeResult:
        yield TopBar(f"check {self._planned.method}")
        with VerticalScroll(id="findings"):
            yield Static(markup=False)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self._check()

    def on_unmount(self) -> None:
        self._end_check()

    def _end_check(self) -> None:
        if self._checking:
            self._checking.stop()

    @work
    async def _check(self) -> None:
        loop = asyncio.get_running_loop()

        def on_event(kind: str, _: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self._say, STAGES.get(kind, "Trying one step"))

        try:
            self._checking = await self.tuner.database(Checking, self.tuner.home, self._planned)
            if not self.is_attached:
                self._end_check()
                return
            found = await in_background(lambda: self._found(on_event))
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
            return
        if self.is_attached:
            self.notice.clear()
            self.query_one("#findings Static", Static).update(_content(found))

    def _found(self, on_event: Any) -> Findings:
        assert self._checking
        return self._checking.findings(on_event)

    def _say(self, stage: str) -> None:
        if self.is_attached:
            self.notice.wait(f"{stage} …  Ctrl+S starts the run without waiting.")

    def action_start(self) -> None:
        self._end_check()
        self._start()

    @work
    async def _start(self) -> None:
        try:
            run = await self.tuner.database(_launch, self.tuner.home, self._planned, self._where)
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_screen(RunScreen(run.name))


def _launch(store: Store, home: Home, plan: Plan, where: Machines) -> Run:
    run = launch.prepare(store, home, plan)
    if where.total > 1:
        machines.note(home.run(run.name), where)
    supervisor.start_run(home, store, run)
    return run


def _content(found: Findings) -> Content:
    lines = [
        Content.styled(visible(line), "$text-warning" if line.startswith("! ") else "")
        for line in report.lines(found)
    ]
    lines += [Content(""), Content.styled(f"The first rows. {report.LEGEND}", "$foreground-muted")]
    for number, row in enumerate(found.rows, start=1):
        for part in row:
            lines += [Content(""), Content.styled(f"row {number}, {part.name}:", "bold")]
            lines.append(Content.assemble(*((text, SHADES[kind]) for text, kind in report.marked(part))))
    return Content("\n").join(lines)
