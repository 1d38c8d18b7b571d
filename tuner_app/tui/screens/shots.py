"""Which stored examples stand before a conversation: few-shot prompting."""

import threading
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.errors import UserError
from tuner_app.clean import one_line, visible
from tuner_app.conversing import asking
from tuner_app.store import shots
from tuner_app.store.rows import Conversation
from tuner_app.store.shots import Shot
from tuner_app.store.table import Filter
from tuner_app.tui.screens.base import Saving, SavingScreen
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.search_field import SearchField
from tuner_app.tui.widgets.top_bar import TopBar

LONGEST = 4000  # characters of an example that are shown


class ShotsScreen(SavingScreen):
    """Demonstrations, the chosen ones first in the order in which the model sees them, then the newest."""

    KEYS_OF = "Examples before a chat"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "search", key_display="/", tooltip="words, tag:NAME, source:FILE"),
        Binding("c", "none", "choose none"),
        Binding("escape", "leave", "back (saved)", key_display="esc"),
    ]
    DEFAULT_CSS = """
    ShotsScreen OptionList { text-wrap: nowrap; text-overflow: ellipsis; overflow-x: hidden; }
    ShotsScreen #example { height: 30%; min-height: 4; border-top: solid $foreground 20%; padding: 0 1; }
    """

    def __init__(
        self, conversation: Conversation | None, uid: str, changed: Callable[[Conversation], None]
    ) -> None:
        """`uid` is the conversation's that begins with the choice, where there is None yet."""
        super().__init__()
        self._here = conversation
        self._uid = uid
        self._changed = changed
        self._chosen = list(conversation.shots if conversation else ())
        self._shots: list[Shot] = []
        self._stop = threading.Event()

    def compose(self) -> ComposeResult:
        yield TopBar("examples before this chat")
        yield SearchField("/ searches: words, tag:NAME, source:FILE")
        yield _Shots(markup=False)
        with VerticalScroll(id="example", can_focus=False):
            yield Static(markup=False)
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self._load()

    def on_unmount(self) -> None:
        self._stop.set()

    @work(exclusive=True)
    async def _load(self) -> None:
        """List what the search finds; without one, what is chosen before the newest."""
        self._stop.set()  # an earlier search is of no use any more
        self._stop = stop = threading.Event()
        text = self.query_one("#search", Input).value.strip()
        try:
            wanted = Filter.parse(text, "demonstration")
            first = () if text else tuple(self._chosen)
            self._shots = await self.tuner.database.beside(
                shots.offered, wanted, first=first, should_stop=stop.is_set
            )
        except UserError as error:
            self.notice.fail(error)
            return
        rows = self.query_one(OptionList)
        rows.clear_options()
        rows.add_options([Option(self._line(shot)) for shot in self._shots])
        rows.highlighted = 0 if self._shots else None
        self._tell()
        self.notice.clear()
        if not self._shots:
            none = "Nothing is found." if text else "No examples yet: correct an answer, or import some."
            self.notice.say(none)

    def _line(self, shot: Shot) -> Content:
        place = self._chosen.index(shot.hash) + 1 if shot.hash in self._chosen else 0
        *before, answer = (one_line(turn.content, 120) for turn in shot.turns)
        return Content.assemble(
            (f"{f'[{place}]' if place else '':>4} ", "bold $text-success"),
            (before[-1] if before else "", ""),
            (" → ", "$foreground-muted"),
            answer,
        )

    def _tell(self) -> None:
        number = len(self._chosen)
        few = f"{number} example{'s' if number > 1 else ''}" if number else "no examples"
        self.query_one(TopBar).place(f"{few} before this chat")

    # --- what the person does

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        shot = self._shots[event.option_index]
        parts = [
            Content.assemble((f"{t.role}  ", "bold $text-accent"), visible(t.content[:LONGEST]))
            for t in shot.turns
        ]
        self.query_one("#example Static", Static).update(Content("\n").join(parts))
        self.query_one("#example").scroll_home(animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        shot = self._shots[event.option_index].hash
        if shot in self._chosen:
            self._chosen.remove(shot)
        else:
            self._chosen.append(shot)
        self._choose()

    def action_none(self) -> None:
        """Let the chat begin with nothing before it."""
        self._chosen.clear()
        self._choose()

    def _choose(self) -> None:
        rows = self.query_one(OptionList)
        for at, shot in enumerate(self._shots):
            rows.replace_option_prompt_at_index(at, self._line(shot))
        self._tell()
        here = self._here.id if self._here else None
        write = partial(self.tuner.database, asking.keep, here, self._uid, shots=tuple(self._chosen))
        self.save("shots", Saving("The choice of examples", write, self._saved))

    async def _saved(self, conversation: Conversation) -> None:
        self._here = conversation
        self._changed(conversation)

    def action_search(self) -> None:
        self.query_one("#search").focus()

    def on_input_changed(self, _: Input.Changed) -> None:
        self._load()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        self.query_one(OptionList).focus()

    def action_leave(self) -> None:
        """From a search back to all; from all to where this was opened."""
        if not self.query_one(SearchField).give_up():
            self.app.pop_screen()


class _Shots(OptionList):
    """A list in which Space chooses too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "select", "choose", key_display="space/⏎")
    ]
