"""How a conversation asks: its system prompt, the examples before it, and how its answers are drawn."""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input, Select, Static, TextArea

from engine.errors import UserError
from tuner_app import settings as settings_file
from tuner_app.conversing import asking
from tuner_app.settings import Decoding
from tuner_app.store.rows import Conversation
from tuner_app.tui.screens.base import Saving, SavingScreen
from tuner_app.tui.widgets.form import Fields, Row, choice_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.text_box import TextBox
from tuner_app.tui.widgets.top_bar import TopBar

_USUAL, _OWN = "settings", "own"
_PRESETS = {_USUAL: "as the settings", **{name: name for name in asking.PRESETS}, _OWN: "as below"}


class HowScreen(SavingScreen):
    """What is changed here is saved as it is typed; a value that cannot be is said to be wrong, not taken."""

    KEYS_OF = "How this chat asks"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding(
            "f5",
            "make_usual",
            "decode so in every chat",
            key_display="F5",
            tooltip="write this decoding to the settings",
        ),
        Binding("f8", "examples", "examples", key_display="F8", tooltip="choose examples before this chat"),
        Binding("escape", "app.chat", "back (saved)", key_display="esc"),
    ]
    DEFAULT_CSS = """
    #how { height: 1fr; padding: 1 1 0 1; scrollbar-size-vertical: 1; }
    #system {
        height: auto; min-height: 3; max-height: 8; margin: 0 0 1 0; padding: 0 1; background: $background;
        border: none; border-top: solid $foreground 20% !important;
    }
    #system { border-title-color: $foreground-muted; }
    #system:focus { border-top: solid $accent !important; }
    HowScreen Row .label { width: 19; }
    HowScreen #shots { padding: 1 0 0 1; height: auto; }
    HowScreen.-wide #shots { padding: 1 0 0 7; }
    """

    def __init__(self, conversation: Conversation | None, changed: Callable[[Conversation], None]) -> None:
        """`changed` is told of the conversation once it is saved; None is one that has not begun."""
        super().__init__()
        self._here = conversation
        self._changed = changed
        self._uid = uuid4().hex
        self._asks: tuple[str, dict[str, Any]] = ("", {})

    def compose(self) -> ComposeResult:
        decoding = asking.decoding_of(self.tuner.settings, self._here)
        yield TopBar("how this chat asks")
        with VerticalScroll(id="how", can_focus=False):
            system = TextBox(self._system, id="system", placeholder="None: the model answers as it is")
            system.border_title = "system prompt"
            yield system
            yield choice_row(
                "decoding", _PRESETS, self._preset(decoding), "fills in what is below", id="preset"
            )
            yield Fields(Decoding, "decoding setting", id="decoding", values=asdict(decoding))
            yield Static(markup=False, id="shots")
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        decoding = asking.decoding_of(self.tuner.settings, self._here)
        self._asks = (self._system, asking.departing(decoding, self.tuner.settings))
        self._compare(decoding)
        self.query_one("#system").focus()

    def on_screen_resume(self) -> None:
        """Back from the choice of examples."""
        number = len(self._here.shots) if self._here else 0
        few = f"{number} example{'s' if number > 1 else ''}" if number else "No examples"
        text = Content.assemble(few, (" before this chat: F8 chooses", "$foreground-muted"))
        self.query_one("#shots", Static).update(text)

    def action_examples(self) -> None:
        from tuner_app.tui.screens.shots import ShotsScreen

        self.app.push_screen(ShotsScreen(self._here, self._uid, self._take_over))

    def _take_over(self, conversation: Conversation) -> None:
        self._here = conversation
        self._changed(conversation)

    @property
    def _system(self) -> str:
        return self._here.system if self._here else ""

    # --- what the person changes

    def on_text_area_changed(self, _: TextArea.Changed) -> None:
        self._take()

    def on_input_changed(self, _: Input.Changed) -> None:
        self._take()

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.value in asking.PRESETS:
            self._fill(asking.PRESETS[str(event.value)])
        elif event.value == _USUAL:
            self._fill(asdict(self.tuner.settings.decoding))

    def action_make_usual(self) -> None:
        """Let every chat that says nothing else be decoded as this one."""
        decoding = self._decoding()
        try:
            saved = settings_file.load(self.tuner.home)
            settings_file.save(self.tuner.home, replace(saved, decoding=decoding))
            self.tuner.load_settings()
        except UserError as error:
            self.notice.fail(error)
            return
        self._take()
        self.notice.say("Every chat is decoded so now, but those that say otherwise.")

    def _fill(self, values: Any) -> None:
        for name, value in values.items():
            field = self.query_one(f"#decoding-{name}", Input)
            if field.value != str(value):
                field.value = str(value)

    def _decoding(self) -> Decoding:
        """What the fields say; where one is wrong, as it was."""
        usual = asdict(asking.decoding_of(self.tuner.settings, self._here))
        return Decoding(**usual | self.query_one(Fields).right_values())

    def _take(self) -> None:
        """Save what is different, and show it in the chat."""
        decoding = self._decoding()
        self._compare(decoding)
        asks = (
            self.query_one("#system", TextArea).text.strip(),
            asking.departing(decoding, self.tuner.settings),
        )
        if asks != self._asks:
            self._asks = asks
            here = self._here.id if self._here else None
            write = partial(
                self.tuner.database, asking.keep, here, self._uid, system=asks[0], decoding=asks[1]
            )
            self.save("asks", Saving("How this chat asks", write, self._saved))

    async def _saved(self, conversation: Conversation) -> None:
        self._take_over(conversation)

    def _preset(self, decoding: Decoding) -> str:
        if not asking.departing(decoding, self.tuner.settings):
            return _USUAL
        return asking.preset_of(decoding) or _OWN

    def _compare(self, decoding: Decoding) -> None:
        """Say at each field that departs from the settings what they say."""
        usual = asdict(self.tuner.settings.decoding)
        differs = asking.departing(decoding, self.tuner.settings)
        for spec, row in zip(fields(Decoding), self.query_one(Fields).query(Row), strict=True):
            help = str(spec.metadata["help"])
            if not row.is_wrong:
                row.help(f"≠ {usual[spec.name]} in the settings; {help}" if spec.name in differs else help)
        with self.prevent(Select.Changed):
            self.query_one("#preset", Select).value = self._preset(decoding)
