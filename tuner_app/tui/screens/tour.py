"""The way round, in five steps: shown on the first start, and by the command palette."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.errors import UserError
from tuner_app import settings

if TYPE_CHECKING:
    from tuner_app.tui.app import TunerApp

STEPS = (
    (
        "Ask",
        "Type a prompt and press Enter. The small model that comes with the program answers; Ctrl+O lists "
        "others, and takes any folder or hub name of a causal language model in safetensors.",
    ),
    (
        "Judge",
        "Esc or Tab leaves the prompt for the answers: a good, x bad, e correct it, s have a second one "
        "written and choose with 1 or 2. u takes back. Each says what it fed to training. F3 sets how "
        "answers are drawn.",
    ),
    (
        "Label many",
        "Ctrl+G makes a batch: many prompts, answered by one model or by two, judged one after the other. "
        "F4 shows all that you have, and imports and exports files.",
    ),
    (
        "Train",
        "Ctrl+T: choose what to learn by (SFT on corrections, DPO on choices, KTO on thumbs, …), look at "
        "what a run would do, start it. Ctrl+R shows it, and goes on with one that was stopped.",
    ),
    (
        "Chat with the result",
        "c on a run that is done, or Ctrl+O. Judge it against the base, and go round again. ? shows the keys "
        "of where you are, Ctrl+P every command, Ctrl+Q leaves; runs go on.",
    ),
)


class TourScreen(ModalScreen[None]):
    """One step at a time; it is not shown by itself again."""

    DEFAULT_CSS = """
    TourScreen { align: center middle; }
    TourScreen > Vertical {
        width: 70; max-width: 96%; height: auto; padding: 1 2; border: round $accent; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right", "go(1)", "next", key_display="⏎"),
        Binding("left,backspace", "go(-1)", "back", key_display="←"),
        Binding("escape,q", "end", "leave", key_display="esc"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(markup=False)

    def on_mount(self) -> None:
        self._show()

    def _show(self) -> None:
        title, text = STEPS[self._at]
        last = self._at == len(STEPS) - 1
        back = "← back   " if self._at else ""
        keys = f"⏎ {'begin' if last else 'next'}   {back}esc leave"
        self.query_one(Static).update(
            Content.assemble(
                (f"{self._at + 1} of {len(STEPS)}  ", "$foreground-muted"),
                (title, "bold $text-primary"),
                f"\n\n{text}\n\n",
                (keys, "$text-accent"),
            )
        )

    def action_go(self, by: int) -> None:
        self._at = max(self._at + by, 0)
        if self._at < len(STEPS):
            self._show()
        else:
            self.action_end()

    def action_end(self) -> None:
        app = cast("TunerApp", self.app)
        try:
            settings.save(app.home, app.settings)  # its file says that this is no first start
        except UserError as error:
            self.notify(str(error), severity="error", markup=False)
        self.dismiss()
