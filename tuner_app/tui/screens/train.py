"""Starting a run."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Button, Input, Select, Static

from engine.errors import UserError
from engine.spec import PRECISIONS, Adapter, Method, method_named, methods
from tuner_app import launch, words
from tuner_app.clean import one_line
from tuner_app.launch import WHERE_FROM, Plan
from tuner_app.store import Selection, Store, models, runs, snapshots
from tuner_app.store.rows import AdapterRow
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.check import CheckScreen
from tuner_app.tui.widgets.form import Fields, Row, choice_row, text_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.top_bar import TopBar

FIRST = "sft"
BASE = {"": "the base"}
NO_REWARD = {"": "none yet"}


class TrainScreen(TunerScreen):
    """A form: what, on which data, from where, how; Ctrl+S checks it, and from there starts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "check", "check, then start"),
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
            yield choice_row("start from", BASE, "", "the base, or go on from an adapter", id="from")
            yield choice_row("reward model", NO_REWARD, "", "says how good the answers are", id="reward")
            yield text_row("name", "", "of the run and its adapter", id="name", placeholder="next free")
            yield choice_row("precision", {key: key for key in PRECISIONS}, "auto", "", id="precision")
            yield Static("Adapter", classes="section")
            yield Fields(Adapter, "adapter setting", id="adapter")
            yield Static("Options of the method", classes="section")
            yield Fields(methods()[first].options, f"{first} option", id="options")
            yield text_row("seed", "0", "the same seed and data give the same adapter", id="seed")
            yield Button("Check, then start", id="start", compact=True)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#method").focus()
        self._load()

    @work
    async def _load(self) -> None:
        await self._offer_adapters(self.tuner.settings.adapter)
        await self._summarise()

    async def _offer_adapters(self, chosen: str) -> None:
        """Offer what the method can go on from, and be led by."""
        method = method_named(self._method)
        try:
            parents, rewards = await self.tuner.database(_offers, method, chosen, self.tuner.settings.base)
        except UserError as error:
            self.notice.fail(error)
            return
        self._row("#from").offer(BASE | parents, chosen)
        row = self._row("#reward")
        row.display = method.needs_reward
        row.offer(rewards or NO_REWARD, str(self.query_one("#reward", Select).value))
        row.help("says how good an answer is" if rewards else "Train one first: method “reward”, on pairs.")

    def _row(self, control: str) -> Row:
        return self.query_one(control).query_ancestor(Row)

    @property
    def _method(self) -> str:
        return str(self.query_one("#method", Select).value)

    @on(Select.Changed, "#method")
    async def _method_changed(self) -> None:
        """Another method has other options."""
        method = method_named(self._method)
        if self.query_one("#options", Fields).of is method.options:
            return  # the form has just been made
        await self.query_one("#options").remove()
        self._row("#method").help(_about(method.name))
        fields = Fields(method.options, f"{method.name} option", id="options")
        await self.query_one("#form").mount(fields, before="#form > Row:last-of-type")
        await self._offer_adapters(str(self.query_one("#from", Select).value))
        await self._summarise()

    @on(Select.Changed, "#from")
    async def _parent_changed(self) -> None:
        """Another adapter may be of another base, which has other reward models."""
        if method_named(self._method).needs_reward:
            await self._offer_adapters(str(self.query_one("#from", Select).value))

    @on(Select.Changed, "#precision")
    def _precision_changed(self, event: Select.Changed) -> None:
        event.select.query_ancestor(Row).help(PRECISIONS[str(event.value)])

    @on(Input.Changed, "#data, #options-batch_size")
    async def _data_changed(self) -> None:
        await self._summarise()

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#start")
    def _pressed(self) -> None:
        self.action_check()

    async def _summarise(self) -> None:
        """Say how much there is to learn from, before anything starts."""
        kind = method_named(self._method).kind
        try:
            selection = Selection.parse(self.query_one("#data", Input).value or "all")
            found = await self.tuner.database(snapshots.available, kind, selection)
        except UserError as error:
            text = "✗ " + str(error)
        else:
            self._suggest(kind, found.examples)
            text = (
                words.selected(kind, found)
                if found.examples
                else f"✗ No {words.PLURALS[kind]} here. {WHERE_FROM[kind]}."
            )
        self.query_one("#summary", Static).update(text)

    def _suggest(self, kind: str, rows: int) -> None:
        options = self.query_one("#options", Fields)
        batch = self.query_one("#options-batch_size", Input).value
        if rows and batch.isdecimal() and int(batch):
            epochs = launch.suited_epochs(rows, {"batch_size": batch})
            options.suggest("epochs", epochs, f"{epochs} proposed for {words.many(rows, kind)}")

    def action_check(self) -> None:
        self.notice.clear()
        try:
            plan = self._plan()
        except UserError as error:
            self.notice.fail(error)
            return
        self._check(plan)

    def _plan(self) -> Plan:
        method = method_named(self._method)
        adapter = self.query_one("#adapter", Fields).values()
        options = self.query_one("#options", Fields).values()
        seed = self.query_one("#seed", Input).value.strip()
        if not seed.isdecimal():
            raise UserError("The seed is a whole number, not below 0.")
        return Plan(
            method=method.name,
            base="" if self.query_one("#from", Select).value else self.tuner.settings.base,
            parent=str(self.query_one("#from", Select).value),
            reward=str(self.query_one("#reward", Select).value) if method.needs_reward else "",
            name=self.query_one("#name", Input).value.strip(),
            selection=Selection.parse(self.query_one("#data", Input).value or "all"),
            adapter=Adapter(**adapter),
            precision=str(self.query_one("#precision", Select).value),
            options=options,
            seed=int(seed),
        )

    @work
    async def _check(self, plan: Plan) -> None:
        try:
            await self.tuner.database(launch.check, self.tuner.home, plan)
        except UserError as error:  # said here, where it can be mended
            self.notice.fail(error)
            return
        self.tuner.push_screen(CheckScreen(plan))


def _offers(store: Store, method: Method, parent: str, base: str) -> tuple[dict[str, str], dict[str, str]]:
    """The adapters to go on from, and the reward models of the same base, the newest first: name to text."""
    parents = launch.parents(store, method)
    on = {row.name: row.base_id for row in parents}
    of = models.base(store, base)
    rewards = launch.rewards(store, on.get(parent, of.id if of else 0))
    return (
        {row.name: one_line(row.name, 64) for row in parents},
        {row.name: _scored(store, row) for row in reversed(rewards)},
    )


def _scored(store: Store, reward: AdapterRow) -> str:
    """A reward model's name, with how often it was right on pairs held out."""
    measured = runs.events(store, reward.run_id, kinds=["evaluation"])
    return one_line(reward.name, 64) + (f", {measured[-1].data['accuracy']:.0%} right" if measured else "")


def _about(name: str) -> str:
    method = method_named(name)
    return f"{method.title}; learns from {words.PLURALS[method.kind]} ({method.paper})"
