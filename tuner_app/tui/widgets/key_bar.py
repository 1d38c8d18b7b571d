"""The keys that work at this moment."""

from textual.app import App
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Input, Static

from tuner_app.tui.wrapping import lines_of


class KeyBar(Static):
    """The keys of the focus and the screen, and under them the app's; wraps, so that none is cut off."""

    def __init__(self, enter: str = "") -> None:
        """`enter` says what Enter does where a list, which hides its own keys, has the focus."""
        super().__init__(markup=False, id="keys")
        self._enter = enter

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._show)

    def on_resize(self, _: Resize) -> None:
        self._show(self.screen)

    def _show(self, screen: Screen[object]) -> None:
        named = self._enter and not isinstance(screen.focused, Input)
        here = {"⏎": _word("⏎", self._enter)} if named else {}
        everywhere: dict[str, Content] = {}
        for active in screen.active_bindings.values():
            binding = active.binding
            key = self.app.get_key_display(binding)
            if binding.show and active.enabled and key not in here:
                group = everywhere if isinstance(active.node, App) else here
                group.setdefault(key, _word(key, binding.description))
        lines = [
            line
            for group in (here, everywhere)
            for line in lines_of(list(group.values()), self.content_size.width)
        ]
        self.update(Content("\n").join(lines))


def _word(key: str, meaning: str) -> Content:
    return Content.assemble((key, "bold $text-accent"), " ", meaning)
