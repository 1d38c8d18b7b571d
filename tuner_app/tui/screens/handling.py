"""What is done with rows of the data: tags, removing and restoring, undo."""

from tuner_app.tui.screens.base import TunerScreen


class HandlingScreen(TunerScreen):
    """A screen with a table of examples or labels that can be changed."""

    def stop_handling(self) -> bool:
        return False
