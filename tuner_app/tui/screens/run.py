"""One run, live."""

from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.errors import UserError
from tuner_app import launch, machines, remedies
from tuner_app.clean import one_line, visible
from tuner_app.conversing.link import in_background
from tuner_app.paths import Home
from tuner_app.run_facts import STATUS, RunFacts, standing
from tuner_app.run_list import log_tail
from tuner_app.store import Store, models, runs
from tuner_app.store.run_rows import Request, Run
from tuner_app.times import ago
from tuner_app.tui.following import follow
from tuner_app.tui.screens.figures import FIGURE_KEYS, FiguresScreen
from tuner_app.tui.widgets.figures import Figures
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.tail import Tail
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.workers import queue, supervisor


class RunScreen(FiguresScreen):
    """Figures, progress, data, warnings and log; Esc leaves, and the run goes on."""

    DEFAULT_CSS = """
    RunScreen #told { height: auto; max-height: 40%; padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    RunScreen.-low #told { max-height: 7; padding: 0 1; }
    RunScreen #facts { height: auto; }
    RunScreen #log {
        height: 6; padding: 0 1; color: $foreground-muted; border-top: solid $foreground 20%;
    }
    RunScreen.-low #log { height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "remedy", "do what is offered"),
        Binding("p", "pause", "pause"),
        Binding("s", "stop", "stop"),
        Binding("r", "resume", "resume"),
        Binding("c", "chat_with", "chat with it"),
        Binding("t", "again", "train again"),
        Binding("l", "log", "log"),
        Binding("i", "details", "settings"),
        Binding("d", "data", "data", tooltip="the examples and labels that it learns from"),
        *FIGURE_KEYS,
        Binding("escape", "back", "back", key_display="esc"),
    ]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._run_name = name
        self._row: Run | None = None
        self._waits_for, self._made = "", False
        self._facts = RunFacts()
        self._told = ""
        self._sure = False

    def compose(self) -> ComposeResult:
        yield TopBar(f"run {self._run_name}")
        with VerticalScroll(id="told", can_focus=False):
            yield Static(markup=False, id="facts")
        yield Figures()
        yield Tail(id="log")
        yield Notice()
        yield KeyBar()

    async def look(self) -> None:
        async for run in follow(self.tuner.database, self._run_name, self._facts):
            self._row = run
            self._waits_for, self._made = await self.tuner.database(_around, self.tuner.home, run)
            log = await in_background(partial(log_tail, self.tuner.home.run(self._run_name)))
            if self.is_attached:
                self._show(run, log)

    def _show(self, run: Run, log: list[str]) -> None:
        self.query_one("#facts", Static).update(self._summary(run))
        self.query_one(Tail).show(log)
        self.query_one(TopBar).place(f"run {run.title}")
        self.figures.show([(run.name, self._facts)])
        if self._told != (state := run.status + run.error):  # what was said of another key stays until then
            self._told = state
            self._tell_end(run)
        self.refresh_bindings()

    def _tell_end(self, run: Run) -> None:
        if run.error:
            offered = remedies.remedy(run)
            do = f"f: {offered.text}." if offered else "l shows its log, t trains again with other settings."
            self.notice.fail(UserError(f"{run.name} {STATUS[run.status][2:]}: {run.error}", do=do))
        elif run.status == "done":
            self.notice.say(f"{run.name} is done: {_what_next(run)}")

    def _summary(self, run: Run) -> Content:
        facts, spec = self._facts, run.spec
        first = f"{run.method} from {run.source}, {facts.plan.get('precision', spec['precision'])}"
        first += f" on {facts.plan['device']}" if facts.plan else ""
        first += f", started {ago(run.started)}" if run.started else ""
        state = standing(run, self._waits_for)
        lines = [Content.assemble((one_line(state, 40), "bold $text-accent"), "  ", one_line(first, 200))]
        progress = facts.progress(running=run.status == "running" and not self._waits_for)
        lines += [Content(visible(text)) for text in (progress, *facts.lines) if text]
        lines += [Content.styled("! " + one_line(text, 300), "$text-warning") for text in facts.warnings]
        lines += [Content(one_line(text, 300)) for text in facts.notes]
        return Content("\n").join(lines)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        run = self._row
        status = run.status if run else ""
        offered = remedies.remedy(run) if run else None
        allowed = {
            "pause": status in ("queued", "running"),
            "stop": status in ("queued", "running"),
            "resume": status in ("stopped", "paused", "failed") and not (offered and offered.in_vain),
            "chat_with": self._made and run is not None and not run.makes_reward,
            "remedy": offered is not None,
            "again": run is not None,
        }
        return allowed.get(action, True)

    def action_pause(self) -> None:
        self.notice.wait("Pausing after this step; a checkpoint is kept …")
        self._end("pause", "Paused: its memory is free. r goes on exactly where it was.")

    def action_stop(self) -> None:
        if not self._sure:
            self._sure = True
            self.notice.wait("Stop it? What it has learnt becomes a model. s stops it, Esc lets it go on.")
            return
        self._sure = False
        self.notice.wait("Stopping after this step; a checkpoint is kept …")
        self._end("stop", "Stopped. r resumes it from its checkpoint.")

    def action_back(self) -> None:
        if self._sure:
            self._sure = False
            self.notice.clear()
        else:
            self.app.pop_screen()

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
        if self.is_attached:
            self.notice.say(then)
            self.look_again()

    @work
    async def action_resume(self) -> None:
        assert self._row
        try:
            await self.tuner.database(_resume, self.tuner.home, self._row)
        except UserError as error:
            self.notice.fail(error)
            return
        self.notice.clear()
        self.look_again()

    @work
    async def action_remedy(self) -> None:
        """Do what the notice offers: go on, or open the form with what would help put in."""
        assert self._row
        offered = remedies.remedy(self._row)
        if offered is None or not offered.is_another_run:
            self.action_resume()
        else:
            await self._open_form(offered)

    @work
    async def action_again(self) -> None:
        await self._open_form(remedies.Remedy(""))

    async def _open_form(self, changes: remedies.Remedy) -> None:
        from tuner_app.tui.screens.train import TrainScreen

        try:
            plan = await self.tuner.database(_plan, self._run_name, changes)
            where = machines.of_run(self.tuner.home.run(self._run_name))
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_screen(TrainScreen(plan, where))

    async def action_chat_with(self) -> None:
        try:
            assert self._row
            source, adapter = await self.tuner.database(_made, self._row)
            self.tuner.choose_model(base=source, adapter=adapter)
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_conversation(None)

    def action_log(self) -> None:
        from tuner_app.tui.screens.run_log import RunLogScreen

        self.app.push_screen(RunLogScreen(self._run_name))

    def action_data(self) -> None:
        from tuner_app.tui.screens.data import DataScreen

        self.app.push_screen(DataScreen(f"run:{self._run_name}"))

    def action_details(self) -> None:
        from tuner_app.tui.screens.run_details import RunDetailsScreen

        self.app.push_screen(RunDetailsScreen(self._run_name))


def _what_next(run: Run) -> str:
    return "it can lead PPO (Ctrl+T)." if run.makes_reward else "c chats with it."


def _around(store: Store, home: Home, run: Run) -> tuple[str, bool]:
    """Which run this one waits for, and whether it has left an adapter."""
    waits_for = queue.waiting(home, runs.listed(store)).get(run.name, "")
    return waits_for, models.made_by(store, run.id) is not None


def _resume(store: Store, home: Home, run: Run) -> None:
    supervisor.start_run(home, store, run)


def _plan(store: Store, name: str, changes: remedies.Remedy) -> launch.Plan:
    run = runs.get(store, name)
    assert run
    return remedies.applied(launch.again(store, run), changes)


def _made(store: Store, run: Run) -> tuple[str, str]:
    """The base's source and the name of what the run has left, which may be called otherwise by now."""
    adapter = models.made_by(store, run.id)
    if adapter is None:
        raise UserError(f"The adapter of {run.name} is not there: deleted, or never made.", do="Train again.")
    return next(base.source for base in models.bases(store) if base.id == adapter.base_id), adapter.name
