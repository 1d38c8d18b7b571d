"""Python's search for garbage, kept out of the way of keys."""

import gc
from time import monotonic

from textual.app import App
from textual.events import Event, InputEvent

LOOK_SECONDS = 30.0  # between two looks at whether it is time for a search
QUIET_SECONDS = 5.0  # without a key: nobody is typing


class TidyApp(App[None]):
    """An app whose garbage is looked for while nobody types.

    Python goes through all that there is whenever a quarter as much has come; for this app that takes 80 ms,
    in the middle of a word. So what there is is set aside, and its searches see what has come since. Now and
    then, when no key comes, all of it is gone through.
    """

    def on_mount(self) -> None:
        self._input_came = monotonic()
        self.call_after_refresh(gc.freeze)
        self.set_interval(LOOK_SECONDS, self._tidy)

    def on_unmount(self) -> None:
        gc.unfreeze()

    async def on_event(self, event: Event) -> None:
        if isinstance(event, InputEvent):
            self._input_came = monotonic()
        await super().on_event(event)

    def _tidy(self) -> None:
        searched_in_part = gc.get_count()[2]
        if searched_in_part and monotonic() - self._input_came > QUIET_SECONDS:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
