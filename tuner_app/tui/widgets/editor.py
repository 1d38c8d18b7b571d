"""Writing a text anew in its place, and seeing what is changed."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static, TextArea

from tuner_app.clean import visible
from tuner_app.tui.changes import shown
from tuner_app.tui.widgets.text_box import TextBox

CHANGES_SECONDS = 0.1  # how long after a key the changes are told: typing comes first


class Editor(TextBox):
    """A text to be put right: Ctrl+S saves, Esc leaves."""

    KEYS_OF = "Correcting"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save"),
        Binding("escape", "abandon", "leave", key_display="esc", tooltip="leave; what was changed is kept"),
    ]

    class Saved(Message):
        """The text is to be saved."""

    class Left(Message):
        """The person leaves the text as it was."""

    def action_save(self) -> None:
        if self.text.strip():
            self.post_message(self.Saved())

    def action_abandon(self) -> None:
        self.post_message(self.Left())


class PromptEditor(Editor):
    """A prompt that was sent, to be sent again otherwise."""

    KEYS_OF = "Editing a prompt"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "save", "send")]


class Correction(Vertical):
    """An editor, and below it what was changed of the `original` so far; begins with the draft `text`.

    `keep` is told of the draft as it is written ("" where nothing is changed); with `prompt` it is a prompt
    that is edited.
    """

    DEFAULT_CSS = """
    Correction { height: auto; }
    Correction .changes { height: auto; max-height: 6; color: $foreground-muted; }
    """

    class Written(Message):
        """The corrected text is to be saved."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Abandoned(Message):
        """The person left; `text` is "" where nothing was changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self, original: str, text: str, *, keep: Callable[[str], None], prompt: bool = False
    ) -> None:
        super().__init__()
        self.original = original
        self.editor = (PromptEditor if prompt else Editor)(text or original)
        self.keep = keep
        self._changes = Static(markup=False, classes="changes")
        self._later: Timer | None = None
        self._shown = visible(original)  # a field has no control characters

    @property
    def text(self) -> str:
        """The text as it is now."""
        return self.editor.text

    @property
    def changed(self) -> str:
        """The text, where it is another than the original; else ""."""
        return "" if self.text == self._shown else self.text

    def compose(self) -> ComposeResult:
        yield self.editor
        yield self._changes

    def on_mount(self) -> None:
        self._say()
        self.editor.focus()
        self.editor.move_cursor(self.editor.document.end)
        self.editor.scroll_visible(animate=False)

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self._later:
            self._later.stop()
        self._later = self.set_timer(CHANGES_SECONDS, self._tell)

    def on_unmount(self) -> None:
        self._tell_now()

    def on_editor_saved(self, event: Editor.Saved) -> None:
        event.stop()
        self._tell_now()
        self.post_message(self.Written(self.text))

    def on_editor_left(self, event: Editor.Left) -> None:
        event.stop()
        self._tell_now()
        self.post_message(self.Abandoned(self.changed))

    def _tell_now(self) -> None:
        if self._later:
            self._later.stop()
            self._tell()

    def _tell(self) -> None:
        self._later = None
        self.keep(self.changed)
        self._say()

    def _say(self) -> None:
        self._changes.update(shown(self.original, self.text) if self.changed else "no changes yet")
