"""The field above a list that says what is looked for."""

from textual import events

from tuner_app.tui.widgets.line_field import LineField


class SearchField(LineField):
    """Down leaves it for the list, which follows it on the screen."""

    DEFAULT_CSS = "SearchField { padding: 0 1; }"

    def __init__(self, placeholder: str) -> None:
        super().__init__(id="search", compact=True, placeholder=placeholder)

    def give_up(self) -> bool:
        """Look for nothing, and go to the list; whether there was a search to give up."""
        if not (self.value or self.has_focus):
            return False
        self.value = ""
        self._to_list()
        return True

    def key_down(self, event: events.Key) -> None:
        event.stop()
        self._to_list()

    def _to_list(self) -> None:
        self.screen.set_focus(self)
        self.screen.focus_next()
