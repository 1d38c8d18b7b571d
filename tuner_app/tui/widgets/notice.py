"""What was saved, or what went wrong and what to do, in its place on the screen."""

from textual.content import Content
from textual.widgets import Static

from engine.errors import UserError
from tuner_app.clean import visible


class Notice(Static):
    """One message; hidden while there is none. Its first sign tells good news from bad without colour."""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.display = False
        self._failure = ""

    def say(self, text: str) -> None:
        """Good or neutral news."""
        self._put(Content.assemble(("✓ ", "$text-success"), visible(text)), failed=False)

    def wait(self, text: str) -> None:
        """Something that is under way."""
        self._put(Content.assemble(("… ", "$text-warning"), visible(text)), failed=False)

    def fail(self, error: UserError | str) -> None:
        """What happened, what was kept and what to do."""
        self._failure = str(error)
        first, *rest = visible(self._failure).split("\n")
        lines = [Content.assemble(("✗ ", "$text-error"), (first, "bold"))]
        self._put(Content("\n").join([*lines, *(Content("  " + line) for line in rest)]), failed=True)

    def clear(self) -> None:
        """Hide the message."""
        self.display = False

    def no_longer(self, failure: str) -> None:
        """Hide this failure, where it is what is shown."""
        if self.has_class("-failed") and self._failure == failure:
            self.clear()

    def _put(self, content: Content, *, failed: bool) -> None:
        self.set_class(failed, "-failed")
        self.update(content)
        self.display = True
