"""Correcting an answer in its place."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tuner_app.tui.messages import CorrectionAbandoned, CorrectionWritten
from tuner_app.tui.widgets.text_box import TextBox


class Editor(TextBox):
    """The answer's text, to be put right: Ctrl+S saves, Esc abandons."""

    KEYS_OF = "Correcting"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save the correction"),
        Binding("escape", "abandon", "abandon", key_display="esc"),
    ]

    def action_save(self) -> None:
        if self.text.strip():
            self.post_message(CorrectionWritten(self.text))

    def action_abandon(self) -> None:
        self.post_message(CorrectionAbandoned())
