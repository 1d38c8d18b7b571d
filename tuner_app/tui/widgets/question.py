"""What the person said."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tuner_app.conversing.dialogue import Turn
from tuner_app.tui.widgets.spoken import KEYS, Part, Spoken


class Question(Spoken):
    """A user's (or the system's) message in the transcript."""

    KEYS_OF = "On a prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "act('edit')", "edit", id="edit", tooltip="edit and send again, on a branch of its own"),
        Binding("r", "act('again')", "answer again", id="answer", tooltip="have it answered again"),
        *KEYS,
    ]

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn, classes="question")

    def head(self) -> list[Part]:
        role = self.turn.message.role
        return [("you" if role == "user" else role, "bold $text-primary")]
