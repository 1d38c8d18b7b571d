"""One run, live."""

from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import UserError
from tuner_app.clean import one_line, visible
from tuner_app.paths import Home
from tuner_app.store import Store, models, runs
from tuner_app.store.rows import Request, Run, RunEvent
from tuner_app.tui.link import in_background
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.run_facts import STATUS, RunFacts
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.times import ago
from tuner_app.tui.widgets.chart import Chart
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.workers import supervisor

LOG_BYTES = 8192


class RunScreen(TunerScreen):
    """Figures, progress, data, warnings and log; Esc leaves, and the run goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause (frees its memory)"),
        Binding("s", "stop", "stop (keeps what it learnt)"),
        Binding("r", "resume", "resume"),
        Binding("c", "chat_with", "chat with it"),
        Binding("m", "next_figure", "another figure"),
        Binding("escape", "app.pop_screen", "back", key_display="esc"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run_name = name
        self._row: Run | None = None
        self._facts = RunFacts()
        self._figure = ""

    def compose(self) -> ComposeResult:
        yield TopBar(f"run {self._run_name}")
        with VerticalScroll(id="told"):
            yield Static(markup=False, id="facts")
        yield Chart()
        yield Static(markup=False, id="log")
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()

    def on_store_changed(self, _: StoreChanged) -> None:
        self._load()

    @work
    async def _load(self) -> None:
        try:
            run, events, log = await self.tuner.database(
                _look, self.tuner.home, self._run_name, self._facts.last
            )
        except UserError as error:
            self.notice.fail(error)
            return
        self._row = run
        self._facts.add(events)
        if not self.is_attached:
            return
        self.query_one("#facts", Static).update(self._summary(run))
        tail = self.query_one("#log", Static)
        tail.update(visible("\n".join(log[-max(tail.content_size.height, 1) :])))
        self._draw()
        if run.error:
            self.notice.fail(f"{self._run_name} {STATUS[run.status][2:]}: {run.error}")
        elif run.status == "done":
            self.notice.say(f"{self._run_name} is done: {_what_next(run)}")
        self.refresh_bindings()

    @property
    def _shown(self) -> str:
        """The figure that the chart shows: PPO's loss would say nothing about how well it goes."""
        return self._figure or ("reward" if "reward" in self._facts.series else "loss")

    def _draw(self) -> None:
        self.query_one(Chart).show(self._shown, self._facts.series.get(self._shown, {}))

    def action_next_figure(self) -> None:
        names = list(self._facts.series)
        self._figure = names[(names.index(self._shown) + 1) % len(names)]
        self._draw()

    def _summary(self, run: Run) -> Content:
        facts, spec = self._facts, run.spec
        source = Path(spec["parent"]).parent.name if spec["parent"] else Path(spec["base"]).name
        first = f"{run.method} from {source}, {facts.plan.get('precision', spec['precision'])}"
        first += f" on {facts.plan['device']}" if facts.plan else ""
        first += f", started {ago(run.started)}" if run.started else ""
        lines = [Content.assemble((STATUS[run.status], "bold $text-accent"), "  ", one_line(first, 200))]
        progress = facts.progress(running=run.status == "running")
        lines += [Content(visible(text)) for text in (progress, *facts.lines) if text]
        lines += [Content(one_line(text, 300)) for text in facts.notes]
        lines += [Content.styled("! " + one_line(text, 300), "$text-warning") for text in facts.warnings]
        return Content("\n").join(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        status = self._row.status if self._row else ""
        allowed = {
            "pause": status in ("queued", "running"),
            "stop": status in ("queued", "running"),
            "resume": status in ("stopped", "paused", "failed"),
            "chat_with": status == "done" and self._row is not None and not self._row.makes_reward,
            "next_figure": len(self._facts.series) > 1,
        }
        return allowed.get(action, True)

    def action_pause(self) -> None:
        self.notice.wait("Pausing after this step; a checkpoint is kept …")
        self._end("pause", "Paused: its memory is free. r goes on exactly where it was.")

    def action_stop(self) -> None:
        self.notice.wait("Stopping after this step; a checkpoint is kept …")
        self._end("stop", "Stopped. r resumes it from its checkpoint.")

    @work
    async def _end(self, request: Request, then: str) -> None:
        run, home, store = self._row, self.tuner.home, self.tuner.store
        assert run
        try:
            # In a thread of its own: it waits for the worker, and the database thread must not.
            await in_background(lambda: supervisor.stop_run(home, store, run, request=request))
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.say(then)
        self._load()

    def action_resume(self) -> None:
        self._resume()

    @work
    async def _resume(self) -> None:
        assert self._row
        try:
            await self.tuner.database(_resume, self.tuner.home, self._row)
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.clear()
        self._load()

    async def action_chat_with(self) -> None:
        try:
            source = await self.tuner.database(_base_of, self._run_name)
            self.tuner.choose_model(base=source, adapter=self._run_name)
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_conversation(None)


def _what_next(run: Run) -> str:
    return "it can lead PPO (Ctrl+T)." if run.makes_reward else "c chats with it."


def _look(store: Store, home: Home, name: str, after: int) -> tuple[Run, list[RunEvent], list[str]]:
    run = runs.get(store, name)
    if run is None:
        raise UserError(f"There is no run “{name}”.", do="Ctrl+R lists the runs.")
    events: list[RunEvent] = []
    while more := runs.events(store, run.id, after=events[-1].id if events else after):
        events += more
    return run, events, _log_tail(home.run(name) / "log.txt")


def _log_tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - LOG_BYTES))
            return stream.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def _resume(store: Store, home: Home, run: Run) -> None:
    runs.request(store, run.id, "")
    supervisor.start_run(home, store, run)


def _base_of(store: Store, name: str) -> str:
    adapter = models.adapter(store, name)
    if adapter is None:
        raise UserError(f"The run {name} has left no adapter.", do="Resume it, or train again.")
    return next(base.source for base in models.bases(store) if base.id == adapter.base_id)
