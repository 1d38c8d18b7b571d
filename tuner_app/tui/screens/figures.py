"""What screens with figures have in common."""

from abc import abstractmethod

from textual import work
from textual.binding import Binding, BindingType

from engine.errors import UserError
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.screens.base import TunerScreen
from tuner_app.tui.widgets.figures import Figures

FIGURE_KEYS: list[BindingType] = [
    Binding("right", "turn(1)", "figures", key_display="← →"),
    Binding("tab", "turn(1)", show=False),
    Binding("left,shift+tab", "turn(-1)", show=False),
    Binding("a", "axis", "by time"),
    Binding("m", "smooth", "smooth"),
]


class FiguresScreen(TunerScreen):
    """A screen with `Figures`, which obey `FIGURE_KEYS`; `look` whenever the store has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._looking = self._changed = False

    @abstractmethod
    async def look(self) -> None:
        """Read what is new, and show it while the screen is there."""

    def on_mount(self) -> None:
        self.look_again()

    def on_store_changed(self, _: StoreChanged) -> None:
        self.look_again()

    def look_again(self) -> None:
        """Look once more; what changes meanwhile is looked at afterwards, once."""
        self._changed = True
        if not self._looking:
            self._looking = True
            self._look()

    @work
    async def _look(self) -> None:
        try:
            while self._changed and self.is_attached:
                self._changed = False
                await self.look()
        except UserError as error:
            if self.is_attached:
                self.notice.fail(error)
        finally:
            self._looking = False

    @property
    def figures(self) -> Figures:
        """The charts."""
        return self.query_one(Figures)

    def action_turn(self, by: int) -> None:
        self.figures.turn(by)

    def action_axis(self) -> None:
        self.figures.axis = "time" if self.figures.axis == "step" else "step"
        self.figures.draw()

    def action_smooth(self) -> None:
        self.figures.smooth = not self.figures.smooth
        self.figures.draw()
