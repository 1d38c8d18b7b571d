"""A new batch: which prompts, and who answers them."""

from typing import ClassVar, cast
from uuid import uuid4

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Button, Input, Select, Static, TextArea

from engine.errors import UserError
from tuner_app import labelling
from tuner_app.clean import one_line
from tuner_app.conversing.link import in_background
from tuner_app.labelling import From, Wish, gather
from tuner_app.settings import Decoding, Settings
from tuner_app.store import batches
from tuner_app.store.rows import Asked, BatchKind, Maker
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.screens.label import LabelScreen
from tuner_app.tui.widgets.form import Row, choice_row, text_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.text_box import TextBox
from tuner_app.tui.widgets.top_bar import TopBar

KINDS = {"pair": "two answers", "single": "one answer"}
ORIGINS = {
    "typed": "typed here",
    "conversations": "asked in the chat",
    "examples": "of stored examples",
    "file": "in a file",
    "stored": "stored answers",
}
SAME = "\0"  # the first model answers again: no adapter has such a name
USUAL = 200
WARM = 1.0  # two answers of one model are to differ


class NewBatchScreen(TunerScreen):
    """A form whose defaults are there to be taken: Enter in any field makes the batch and opens it."""

    KEYS_OF = "A new batch"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "make", "make it, and start", tooltip="make the batch and judge its answers"),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "app.pop_screen", "back", key_display="esc"),
    ]
    DEFAULT_CSS = """
    NewBatchScreen #typed { height: 4; margin: 0 1 0 15; background: $panel; }
    NewBatchScreen.-wide #typed { margin: 0 1 0 21; }
    """

    def compose(self) -> ComposeResult:
        kept = self.tuner.settings.decoding
        yield TopBar("new batch")
        with VerticalScroll(id="form", can_focus=False):
            yield text_row("name", "", "of the batch", id="name", placeholder="next free")
            yield choice_row("judge", KINDS, "pair", "which is better, or: is it good", id="kind")
            yield choice_row(
                "prompts", ORIGINS, "typed", "stored answers are judged as they are", id="origin"
            )
            yield choice_row("from", {"": "all of them"}, "", "an import, or all that is stored", id="source")
            yield text_row(
                "file", "", "one prompt a line (.txt), or any file that can be imported", id="file"
            )
            yield TextBox(placeholder="One prompt on each line; paste as many as you like.", id="typed")
            yield text_row("at most", str(USUAL), "prompts, the newest first", id="limit")
            yield Static(markup=False, id="summary")
            yield choice_row("answered by", {"": "the base"}, "", "", id="first")
            yield choice_row("and by", {SAME: "the same"}, SAME, "whose is whose stays hidden", id="second")
            yield text_row("temperature", str(WARM), "0 is greedy", id="temperature")
            yield text_row("longest", str(kept.max_tokens), "answer, in tokens", id="max_tokens")
            yield text_row("system", "", "system prompt, where a prompt has none", id="system")
            yield Button("Make it, and start", id="start", compact=True)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#name").focus()
        self._adapt()
        self._open()

    @work
    async def _open(self) -> None:
        """Offer what there is to choose from."""
        store, chosen = self.tuner.store, self._chosen_model
        served = self.tuner.model_link.foreign(chosen)
        try:
            offers = await in_background(lambda: labelling.offered(store, chosen, served))
        except UserError as error:
            self.notice.fail(error)
            return
        name, origin, imports, makers = offers
        self._row("#source").offer({"": "all of them"} | {one: one_line(one, 40) for one in imports}, "")
        self._row("#first").offer(makers, chosen.adapter)
        self._row("#second").offer({SAME: "the same"} | makers, SAME)
        field = self.query_one("#name", Input)
        field.placeholder = name
        if field.has_focus and not field.value:  # else the person has begun: nothing moves under them
            self.query_one("#origin", Select).value = origin
            if origin == "typed":
                self.query_one("#typed").focus()
        self._summarise()

    @property
    def _chosen_model(self) -> Settings:
        return self.tuner.model_link.named(self.tuner.settings)

    def _row(self, control: str) -> Row:
        return self.query_one(control).query_ancestor(Row)

    def _chosen(self, control: str) -> str:
        return str(self.query_one(control, Select).value)

    def _typed(self, control: str) -> str:
        return self.query_one(control, Input).value.strip()

    @on(Select.Changed)
    def _adapt(self) -> None:
        """Show the fields that matter."""
        kind, origin = self._chosen("#kind"), self._chosen("#origin")
        self._row("#source").display = origin in ("examples", "stored")
        self._row("#file").display = origin == "file"
        self.query_one("#typed").display = origin == "typed"
        answered = origin != "stored"
        for control in ("#first", "#temperature", "#max_tokens", "#system"):
            self._row(control).display = answered
        self._row("#second").display = answered and kind == "pair"
        self._summarise()

    @on(Input.Changed, "#limit, #file")
    @on(TextArea.Changed)
    def _changed(self) -> None:
        self._summarise()

    @on(Input.Submitted)
    @on(Button.Pressed, "#start")
    def _submitted(self) -> None:
        self.action_make()

    @work(exclusive=True, group="summary")
    async def _summarise(self) -> None:
        """Say which prompts there are, before anything is made."""
        summary = self.query_one("#summary", Static)
        try:
            found = await self._gathered(self._wish())
        except UserError as error:
            summary.update("✗ " + error.what)
            return
        summary.update(labelling.summed_up(found))

    def _wish(self) -> Wish:
        limit = self._typed("#limit")
        if not limit.isdecimal() or not 0 < int(limit) <= batches.MOST:
            raise UserError(f"“At most” takes a number from 1 to {batches.MOST:,}.")
        return Wish(
            kind=cast(BatchKind, self._chosen("#kind")),
            origin=cast(From, self._chosen("#origin")),
            limit=int(limit),
            text=self.query_one("#typed", TextBox).text,
            file=self._typed("#file"),
            source=self._chosen("#source"),
            system=self.query_one("#system", Input).value,
        )

    async def _gathered(self, wish: Wish) -> list[Asked]:
        store = self.tuner.store
        return await in_background(lambda: gather(store, wish))

    def action_make(self) -> None:
        self.notice.clear()
        self._make()

    @work(exclusive=True, group="make")
    async def _make(self) -> None:
        try:
            wish = self._wish()
            makers, decoding = self._makers(wish), self._decoding(wish)
            asked, name, uid = await self._gathered(wish), self._typed("#name"), uuid4().hex
            batch = await self.tuner.database(
                labelling.make, wish, asked, makers=makers, decoding=decoding, name=name, uid=uid
            )
        except UserError as error:
            self.notice.fail(error)
            return
        self.app.switch_screen(LabelScreen(batch))

    def _makers(self, wish: Wish) -> list[Maker]:
        first, second = self._chosen("#first"), self._chosen("#second")
        return labelling.makers(wish, self._chosen_model.base, first, first if second == SAME else second)

    def _decoding(self, wish: Wish) -> Decoding:
        given = {"temperature": self._typed("#temperature"), "max_tokens": self._typed("#max_tokens")}
        return labelling.decoding(wish, self._makers(wish), self.tuner.settings.decoding, given)
