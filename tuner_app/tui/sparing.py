"""Only what has changed is sent to the terminal, which over a slow line is what a person waits for."""

from collections import defaultdict

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.events import Resize
from textual.screen import Screen

Pieces = dict[int, tuple[int, str]]  # where each starts: where it ends, and what was sent for it


class SparingApp(App[None]):
    """An app that knows what it has sent of each line.

    After a new layout Textual paints all that has a new place or size, the most of which looks as before. A
    line of that is left out here where it is as it was sent; what paints the whole screen, as a new size or
    another screen does, is sent whole, so that it also mends what another program has written there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sent: dict[int, Pieces] = defaultdict(dict)

    def on_mount(self) -> None:
        self.app_resume_signal.subscribe(self, lambda _: self._sent.clear())

    def on_resize(self, _: Resize) -> None:
        self._sent.clear()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        if isinstance(renderable, LayoutUpdate):
            self._sent.clear()
        elif isinstance(renderable, ChopsUpdate):
            renderable = _Changed(renderable, self._sent)
        super()._display(screen, renderable)


class _Changed(ChopsUpdate):
    """Of an update those spans of lines that are not on the terminal yet."""

    def __init__(self, update: ChopsUpdate, sent: dict[int, Pieces]) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._sent = sent

    def render_segments(self, console: Console) -> str:
        """What is to be sent: for each piece where it goes, and what it is."""
        return "".join(self._span(console, *span) for span in self.spans)

    def _span(self, console: Console, y: int, first: int, last: int) -> str:
        pieces: Pieces = {}
        for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
            if strip is not None and x < last and end > first:
                shown = strip if end <= last else strip.crop(0, last - x)
                pieces[x] = (min(end, last), shown.render(console))
        before = self._sent[y]
        if all(before.get(x) == piece for x, piece in pieces.items()):
            return ""
        for x, (end, _) in list(before.items()):
            if x < last and end > first:
                del before[x]
        before.update(pieces)
        return "".join(f"{Control.move_to(x, y).segment.text}{text}" for x, (_, text) in pieces.items())
