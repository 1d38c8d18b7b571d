"""The keys that work at this moment."""

from textual.app import App
from textual.content import Content
from textual.events import Click, Resize
from textual.screen import Screen
from textual.style import Style
from textual.widgets import DataTable, Input, OptionList, Static

from tuner_app.tui.wrapping import lines_of

TAKEN = "slash"  # by a text field, which Textual knows of all characters but this


class KeyBar(Static):
    """The keys of the focus and the screen, and under them the app's; wraps, so that none is cut off.

    A click on one does what the key does.
    """

    def __init__(self, enter: str = "", *, field: str = "") -> None:
        """What Enter does where a list has the focus, and in a `field`: both hide their own keys."""
        super().__init__(markup=False, id="keys")
        self._enter = enter
        self._field = field

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._show)

    def on_resize(self, _: Resize) -> None:
        self._show(self.screen)

    def on_click(self, event: Click) -> None:
        if key := event.style.meta.get("key"):
            self.app.simulate_key(key)

    def _show(self, screen: Screen[object]) -> None:
        here: dict[str, Content] = {}
        everywhere: dict[str, Content] = {}
        typing = isinstance(screen.focused, Input)
        for name, active in screen.active_bindings.items():
            binding = active.binding
            key = self.app.get_key_display(binding)
            if binding.show and active.enabled and not (typing and name == TAKEN):
                group = everywhere if isinstance(active.node, App) else here
                group.setdefault(key, _word(key, binding.description, name))
        if enter := self._field if typing else self._enter if _is_list(screen) else "":
            here = {"⏎": _word("⏎", enter, "enter")} | here
        lines = [
            line
            for group in (here, everywhere)
            for line in lines_of(list(group.values()), self.content_size.width)
        ]
        self.update(Content("\n").join(lines))


def _is_list(screen: Screen[object]) -> bool:
    return isinstance(screen.focused, (OptionList, DataTable))


def _word(shown: str, meaning: str, key: str) -> Content:
    word = Content.assemble((shown, "bold $text-accent"), " ", meaning)
    return word.stylize(Style.from_meta({"key": key}))
