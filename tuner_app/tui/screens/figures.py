"""What screens with figures have in common."""

from textual.binding import Binding, BindingType

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
    """A screen with `Figures`, which obey `FIGURE_KEYS`."""

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
