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
from tuner_app import launch, report
from tuner_app.checking import Checking
from tuner_app.clean import visible
from tuner_app.conversing.link import in_background
from tuner_app.launch import Plan
from tuner_app.machines import Machines
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.store.run_rows import Run
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
    """What was found in words, then row after row with its loss mask; Ctrl+S starts the run, also before all
    of it is known."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start training"),
        Binding("right,n,pagedown", "turn(1)", "next row", key_display="→"),
        Binding("left,p,pageup", "turn(-1)", "row before", key_display="←"),
        Binding("l", "longest", "longest"),
        Binding("o", "left_out", "left out"),
        Binding("escape", "app.pop_screen", "back to the form", key_display="esc"),
    ]

    def __init__(self, plan: Plan, where: Machines | None = None) -> None:
        super().__init__()
        self._planned = plan
        self._where = where or Machines()
        self._checking: Checking | None = None
        self._found: Findings | None = None
        self._page = 0  # 0: the words; n: the nth row

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
            self._checking = checking = await self.tuner.database.beside(
                Checking, self.tuner.home, self._planned, self._where
            )
            if not self.is_attached:
                self._end_check()
                return
            self._found = await in_background(lambda: checking.findings(on_event))
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
            return
        if self.is_attached:
            self.notice.clear()
            self._show()

    def _say(self, stage: str) -> None:
        if self.is_attached:
            self.notice.wait(f"{stage} …  Ctrl+S starts the run without waiting.")

    def _show(self) -> None:
        assert self._found
        page = _row(self._found, self._page - 1) if self._page else _words(self._found)
        self.query_one("#findings Static", Static).update(page)
        self.query_one("#findings").scroll_home(animate=False)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("turn", "longest", "left_out"):
            return self._found is not None and (action == "turn" or self._titled(action) > 0)
        return True

    def _titled(self, action: str) -> int:
        """The page of the longest row, or of the next that is left out; 0 without one."""
        assert self._found
        titles = list(enumerate(self._found.titles, start=1))
        if action == "longest":
            return next((page for page, title in titles if title.endswith("the longest")), 0)
        out = [page for page, title in titles if "left out" in title]
        return next((page for page in out if page > self._page), out[0] if out else 0)

    def action_turn(self, by: int) -> None:
        assert self._found
        self._page = (self._page + by) % (len(self._found.rows) + 1)
        self._show()

    def action_longest(self) -> None:
        self._page = self._titled("longest")
        self._show()

    def action_left_out(self) -> None:
        self._page = self._titled("left_out")
        self._show()

    def action_start(self) -> None:
        self._end_check()
        self._start()

    @work
    async def _start(self) -> None:
        try:
            run = await self.tuner.database.beside(_launch, self.tuner.home, self._planned, self._where)
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_screen(RunScreen(run.name))


def _launch(store: Store, home: Home, plan: Plan, where: Machines) -> Run:
    run = launch.prepare(store, home, plan, where)
    supervisor.start_run(home, store, run)
    return run


def _words(found: Findings) -> Content:
    """The findings in words, and the first row."""
    lines = [
        Content.styled(visible(line), "$text-warning" if line.startswith("! ") else "")
        for line in report.lines(found)
    ]
    return Content("\n").join([*lines, Content(""), _row(found, 0)])


def _row(found: Findings, number: int) -> Content:
    """A row token by token; what is trained on stands between brackets, underlined, in other colours."""
    many = f"{number + 1} of {len(found.rows)}"
    lines = [
        Content.assemble((found.titles[number], "bold"), (f"   {many}; → the next", "$foreground-muted")),
        Content.styled(report.LEGEND, "$foreground-muted"),
    ]
    for part in found.rows[number]:
        lines += [Content(""), Content.styled(f"{part.name}:", "bold")]
        lines.append(Content.assemble(*((text, SHADES[kind]) for text, kind in report.marked(part))))
    return Content("\n").join(lines)
