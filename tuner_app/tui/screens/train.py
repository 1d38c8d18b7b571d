"""Starting a run."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Button, Input, Select, Static

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, method_named, methods
from tuner_app import launch
from tuner_app.clean import one_line
from tuner_app.launch import WHERE_FROM, Plan
from tuner_app.paths import Home
from tuner_app.store import Selection, Store, models, snapshots
from tuner_app.store.rows import Run, Summary
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.run import RunScreen
from tuner_app.tui.widgets.form import Fields, Row, choice_row, text_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar
from tuner_app.workers import supervisor

FIRST = "sft"


class TrainScreen(TunerScreen):
    """A form: what, on which data, from where, how; Ctrl+S starts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start training"),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def compose(self) -> ComposeResult:
        names = {name: name for name in methods()}
        first = FIRST if FIRST in names else next(iter(names))
        yield TopBar("train")
        with VerticalScroll(id="form", can_focus=False):
            yield choice_row("method", names, first, _about(first), id="method")
            yield text_row("data", "all", "all, labels, imports, source:NAME, last:100", id="data")
            yield Static(markup=False, id="summary")
            yield choice_row(
                "start from", {"": "the base"}, "", "the base, or go on from an adapter", id="from"
            )
            yield text_row("name", "", "of the run and its adapter", id="name", placeholder="next free")
            yield choice_row("precision", {key: key for key in PRECISIONS}, "auto", "", id="precision")
            yield Static("Adapter", classes="section")
            yield Fields(Adapter, "adapter setting", id="adapter")
            yield Static("Options of the method", classes="section")
            yield Fields(methods()[first].options, f"{first} option", id="options")
            yield text_row("seed", "0", "the same seed and data give the same adapter", id="seed")
            yield Button("Start training", id="start", compact=True)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#method").focus()
        self._load()

    @work
    async def _load(self) -> None:
        await self._summarise()
        try:
            rows = await self.tuner.database(models.adapters)
        except UserError as error:
            self.notice.fail(error)
            return
        chosen = self.query_one("#from", Select)
        names = [row.name for row in rows]
        chosen.set_options([("the base", ""), *((one_line(name, 64), name) for name in names)])
        chosen.value = self.tuner.settings.adapter if self.tuner.settings.adapter in names else ""

    @property
    def _method(self) -> str:
        return str(self.query_one("#method", Select).value)

    @on(Select.Changed, "#method")
    async def _method_changed(self) -> None:
        """Another method has other options."""
        method = method_named(self._method)
        await self.query_one("#options").remove()
        self.query_one("#method", Select).query_ancestor(Row).help(_about(method.name))
        fields = Fields(method.options, f"{method.name} option", id="options")
        await self.query_one("#form").mount(fields, before="#form > Row:last-of-type")
        await self._summarise()

    @on(Select.Changed, "#precision")
    def _precision_changed(self, event: Select.Changed) -> None:
        event.select.query_ancestor(Row).help(PRECISIONS[str(event.value)])

    @on(Input.Changed, "#data")
    async def _data_changed(self) -> None:
        await self._summarise()

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#start")
    def _pressed(self) -> None:
        self.action_start()

    async def _summarise(self) -> None:
        """Say how much there is to learn from, before anything starts."""
        kind = method_named(self._method).kind
        try:
            selection = Selection.parse(self.query_one("#data", Input).value or "all")
            found = await self.tuner.database(snapshots.available, kind, selection)
        except UserError as error:
            text = "✗ " + str(error)
        else:
            text = _in_words(kind, found) if found.examples else f"✗ No {kind}s here. {WHERE_FROM[kind]}."
        self.query_one("#summary", Static).update(text)

    def action_start(self) -> None:
        self.notice.clear()
        try:
            plan = self._plan()
        except UserError as error:
            self.notice.fail(error)
            return
        self._start(plan)

    def _plan(self) -> Plan:
        adapter = self.query_one("#adapter", Fields).values()
        options = self.query_one("#options", Fields).values()
        seed = self.query_one("#seed", Input).value.strip()
        if not seed.isdecimal():
            raise UserError("The seed is a whole number, not below 0.")
        return Plan(
            method=self._method,
            base="" if self.query_one("#from", Select).value else self.tuner.settings.base,
            parent=str(self.query_one("#from", Select).value),
            name=self.query_one("#name", Input).value.strip(),
            selection=Selection.parse(self.query_one("#data", Input).value or "all"),
            adapter=Adapter(**adapter),
            precision=str(self.query_one("#precision", Select).value),
            options=options,
            seed=int(seed),
        )

    @work
    async def _start(self, plan: Plan) -> None:
        try:
            run = await self.tuner.database(_launch, self.tuner.home, plan)
        except UserError as error:
            self.notice.fail(error)
            return
        self.tuner.open_screen(RunScreen(run.name))


def _launch(store: Store, home: Home, plan: Plan) -> Run:
    run = launch.prepare(store, home, plan)
    supervisor.start_run(home, store, run)
    return run


def _about(name: str) -> str:
    method = method_named(name)
    return f"{method.title}; learns from {method.kind}s ({method.paper})"


def _in_words(kind: str, found: Summary) -> str:
    count = f"{found.examples} {kind}{'s' if found.examples > 1 else ''}"
    text = f"{count}: {found.from_labels} from labels, {found.from_imports} from imports"
    if found.repeated:
        text += f"; {found.repeated} repeated, used once"
    if found.contradictory:
        text += f"; {found.contradictory} contradict another one"
    return text
