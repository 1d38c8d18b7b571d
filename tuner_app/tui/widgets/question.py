"""What the person said."""

from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import visible


class Question(Static):
    """A user's (or the system's) message in the transcript."""

    def __init__(self, message_id: int, text: str, *, who: str = "you") -> None:
        self.message_id = message_id
        super().__init__(
            Content.assemble((who, "bold $text-primary"), "\n", visible(text)),
            markup=False,
            classes="question",
        )
