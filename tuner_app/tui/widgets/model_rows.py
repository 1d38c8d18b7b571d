"""The rows of a form that say which models a run starts from: its base, an adapter, a reward model."""

from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Select

from engine.spec import Method, method_named
from tuner_app import offers
from tuner_app.launch import Plan
from tuner_app.tui.widgets.form import Row, choice_row

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

NO_PARENT = {"": "nothing: a new one"}
NO_REWARD = {"": "none yet"}


class ModelRows(Vertical):
    """What the method can go on from, and be led by, is offered anew with another base or method."""

    DEFAULT_CSS = "ModelRows { height: auto; }"

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._method = method_named(plan.method)

    def compose(self) -> ComposeResult:
        yield choice_row("base", {"": "…"}, "", "the model; Ctrl+O adds another", id="base")
        yield choice_row("go on from", NO_PARENT, "", "an adapter to train further", id="from")
        yield choice_row("reward model", NO_REWARD, "", "", id="reward")

    @property
    def base(self) -> str:
        """The base's name."""
        return self._value("#base")

    @property
    def goes_on_from(self) -> str:
        """The adapter to go on from; "" for none."""
        return self._value("#from")

    @property
    def reward(self) -> str:
        """The reward model; "" for none."""
        return self._value("#reward") if self._method.needs_reward else ""

    def offer_bases(self, known: dict[str, str], base: str) -> None:
        """Offer these bases, with `base` chosen."""
        self._row("#base").offer(known, base)

    async def set_method(self, method: Method) -> None:
        """Offer what this method can go on from and be led by; what is chosen stays where it can."""
        self._method = method
        await self.offer()

    @on(Select.Changed, "#base")
    async def _base_changed(self) -> None:
        await self.offer()

    async def offer(self, parent: str | None = None, reward: str | None = None) -> None:
        """Offer what the method can go on from, and be led by, on the base; None keeps what is chosen."""
        method = self._method
        parents, rewards = await cast("TunerApp", self.app).database(offers.to_go_on_from, method, self.base)
        if not self.query("#reward"):
            return  # the screen is going
        parent = self.goes_on_from if parent is None else parent
        reward = self._value("#reward") if reward is None else reward
        self._row("#from").offer(NO_PARENT | parents, parent)
        row = self._row("#reward")
        row.display = method.needs_reward
        row.offer(rewards or NO_REWARD, reward)
        row.help("says how good an answer is" if rewards else "Train one first: method “reward”, on pairs.")

    def _row(self, control: str) -> Row:
        return self.query_one(control).query_ancestor(Row)

    def _value(self, control: str) -> str:
        return str(self.query_one(control, Select).value)
