"""Python's search for garbage, kept out of the way of keys."""

import gc
from time import monotonic

from textual.app import App
from textual.events import Event, InputEvent

LOOK_SECONDS = 10.0  # between two looks at whether it is time for a search
QUIET_SECONDS = 5.0  # without a key: nobody is typing
OFTEN, RARELY = 10, 1000  # searches among what is newer, after which all is searched: in quiet, and at all


class TidyApp(App[None]):
    """An app that looks for garbage while nobody types.

    To go through all that this app has made takes Python 80 ms, which it would do in the middle of a word,
    and several times in a long answer. Its searches among what is new take 1 to 5 ms and go on. What a start
    has made stays, most of it to the end: `cli` keeps searches out of the start, and none goes through it.
    """

    def on_mount(self) -> None:
        self.call_after_refresh(self._started)
        self._input_came = monotonic()
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*self._thresholds[:2], RARELY)
        self.set_interval(LOOK_SECONDS, self._tidy)

    def _started(self) -> None:
        gc.freeze()
        gc.enable()

    def on_unmount(self) -> None:
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._input_came = monotonic()
        await super().on_event(event)

    def _tidy(self) -> None:
        if gc.get_count()[2] >= OFTEN and monotonic() - self._input_came > QUIET_SECONDS:
            gc.collect()
