"""Starting a run."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Select, Static

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, method_named, methods
from tuner_app import launch, offers, words
from tuner_app.launch import Plan
from tuner_app.machines import Machines
from tuner_app.store import runs
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.check import CheckScreen
from tuner_app.tui.widgets.data_rows import DataRows
from tuner_app.tui.widgets.form import Fields, Row, choice_row, text_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.model_rows import ModelRows
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.run_rows import RunRows
from tuner_app.tui.widgets.top_bar import TopBar

FIRST = "sft"


class TrainScreen(TunerScreen):
    """A form: what, on which data, from where, how; Ctrl+S checks it, and from there starts.

    What matters least is folded away until Ctrl+E.
    """

    DEFAULT_CSS = """
    TrainScreen .-rare { display: none; }
    TrainScreen.-all .-rare { display: block; }
    TrainScreen .section { padding: 1 0 0 1; text-style: bold; }
    TrainScreen.-low .section { padding: 0 0 0 1; }
    TrainScreen #fold { padding: 0 0 0 1; color: $text-accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "check", "check, then start"),
        Binding("ctrl+e", "fold", "more settings", priority=True),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "app.chat", "back", key_display="esc"),
    ]

    def __init__(self, plan: Plan | None = None, where: Machines | None = None) -> None:
        """An empty form, or one with the settings of `plan`."""
        super().__init__()
        self._start_plan = plan or Plan(FIRST if FIRST in methods() else next(iter(methods())))
        self._given = plan is not None
        self._where = where or Machines()

    def compose(self) -> ComposeResult:
        plan = self._start_plan
        names = {name: name for name in methods()}
        yield TopBar("train")
        with VerticalScroll(id="form", can_focus=False):
            yield choice_row("method", names, plan.method, _about(plan.method), id="method")
            yield DataRows(plan.selection, method_named(plan.method).kind)
            yield ModelRows(plan)
            yield text_row("name", "", "of the run and its adapter", id="name", placeholder="next free")
            precisions = {key: key for key in PRECISIONS}
            yield choice_row(
                "precision", precisions, plan.precision, PRECISIONS[plan.precision], id="precision"
            )
            yield Static("Adapter", classes="section -rare")
            yield Fields(Adapter, "adapter setting", id="adapter", values=vars(plan.adapter))
            yield Static("Options of the method", classes="section -rare")
            yield self._options(plan.method, plan.options)
            yield Static("Run", classes="section -rare")
            yield RunRows(plan.seed, self._where)
            yield Static(markup=False, id="fold")
            yield Button("Check, then start", id="start", compact=True)
        yield Notice()
        yield KeyBar()

    def _options(self, method: str, values: Mapping[str, Any]) -> Fields:
        return Fields(methods()[method].options, f"{method} option", id="options", values=values)

    def on_mount(self) -> None:
        self.query_one("#data" if self._given else "#method").focus()
        self._say_fold()
        self._load()

    @work
    async def _load(self) -> None:
        plan, settings = self._start_plan, self.tuner.settings
        data = self.query_one(DataRows)
        await data.learn_words()
        try:
            known = await self.tuner.database(offers.bases_to_train, settings.base)
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
            return
        if not self.is_attached:
            return
        models = self.query_one(ModelRows)
        models.offer_bases(known, plan.base or offers.named(known, settings.base))
        await models.offer(plan.parent or ("" if self._given else settings.adapter), plan.reward)
        data.survey()

    def _row(self, control: str) -> Row:
        return self.query_one(control).query_ancestor(Row)

    def _select(self, control: str) -> "Select[str]":
        return self.query_one(control, Select)

    def _input(self, control: str) -> str:
        return self.query_one(control, Input).value.strip()

    @property
    def _method(self) -> str:
        return str(self._select("#method").value)

    @on(Select.Changed, "#method")
    async def _method_changed(self) -> None:
        """Another method has other options; what was changed of those that both have stays changed."""
        method = method_named(self._method)
        before = self.query_one("#options", Fields)
        if before.of is method.options:
            return  # the form has just been made
        names = {field.name for field in fields(method.options)}
        kept = {name: value for name, value in before.changed.items() if name in names}
        await before.remove()
        self._row("#method").help(_about(method.name))
        sections = [*self.query(".section")]
        await self.query_one("#form").mount(self._options(method.name, kept), before=sections[-1])
        self._say_fold()
        await self.query_one(ModelRows).set_method(method)
        self.query_one(DataRows).survey(method.kind)

    @on(Select.Changed, "#precision")
    def _precision_changed(self, event: Select.Changed) -> None:
        self._row("#precision").help(PRECISIONS[str(event.value)])

    @on(Input.Changed, "#options-batch_size, #options-epochs")
    def _length_changed(self) -> None:
        self.query_one(DataRows).survey()

    @on(Input.Changed, "#name")
    async def _name_changed(self) -> None:
        name = self._input("#name")
        try:
            if name:
                await self.tuner.database(runs.check_name, name)
        except UserError as error:
            self._row("#name").wrong(str(error))
        else:
            self._row("#name").right()

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#start")
    def _pressed(self) -> None:
        self.action_check()

    def action_fold(self) -> None:
        self.toggle_class("-all")
        self._say_fold()

    def _say_fold(self) -> None:
        rare = [row._label for row in self.query("Row.-rare").results(Row)]
        text = f"▸ {len(rare)} more (Ctrl+E): {', '.join(rare)}"
        self.query_one("#fold", Static).update(Content("▾ Ctrl+E folds" if self.has_class("-all") else text))

    @on(DataRows.Found)
    def _found(self, event: DataRows.Found) -> None:
        """Say how much there is to learn from, propose as many epochs as suit it, and count the steps."""
        if not self.is_attached:
            return
        rows, text = event.rows, event.text
        options, kind = self.query_one("#options", Fields), method_named(self._method).kind
        batch = self._input("#options-batch_size")
        if rows and batch.isdecimal() and int(batch):
            epochs = launch.suited_epochs(rows, {"batch_size": batch})
            options.suggest("epochs", epochs, f"{epochs} proposed for {words.many(rows, kind)}")
            seen = self._input("#options-epochs")
            if seen.isdecimal() and not options.query("#options-rollout_batch"):
                text += f" {-(-rows // int(batch)) * int(seen):,} steps."
        self.query_one(DataRows).say(text)

    def action_check(self) -> None:
        self.notice.clear()
        try:
            plan, where = self._plan(), self.query_one(RunRows).machines(self._method)
        except UserError as error:
            self._refuse(error)
            return
        self._check(plan, where)

    def _refuse(self, error: UserError) -> None:
        """Say what is wrong, and go to where it can be mended."""
        wrong = next((row for row in self.query(Row) if row.is_wrong), None)
        if wrong:
            wrong.control.focus()
        self.notice.fail(error)

    def _plan(self) -> Plan:
        models = self.query_one(ModelRows)
        adapter = self.query_one("#adapter", Fields).values()
        options = self.query_one("#options", Fields).values()
        return Plan(
            method=self._method,
            base=models.base,
            parent=models.goes_on_from,
            reward=models.reward,
            name=self._input("#name"),
            selection=self.query_one(DataRows).selection(),
            adapter=Adapter(**adapter),
            precision=str(self._select("#precision").value),
            options=options,
            seed=self.query_one(RunRows).seed(),
        )

    @work
    async def _check(self, plan: Plan, where: Machines) -> None:
        try:
            await self.tuner.database.beside(launch.check, self.tuner.home, plan)
        except UserError as error:
            self._refuse(error)
            return
        self.tuner.push_screen(CheckScreen(plan, where))


def _about(name: str) -> str:
    method = method_named(name)
    return f"{method.title}; learns from {words.PLURALS[method.kind]} ({method.paper})"
