"""What a labelling screen shows next: read from the store, and written by models, before it is needed."""

import asyncio
from functools import partial
from time import monotonic

from textual import work
from textual.content import Content

from engine.errors import UserError
from tuner_app.filling import Filling
from tuner_app.store import batches, sharing
from tuner_app.store.rows import Batch, Progress
from tuner_app.tui.messages import StoreChanged
from tuner_app.tui.queue import Clock, Queue, Shown, midnight
from tuner_app.tui.screens.base import SavingScreen
from tuner_app.tui.spread import Spread, lay_out
from tuner_app.tui.widgets.sheet import Sheet
from tuner_app.tui.widgets.tally import Pace, Tally

KEPT = 12  # so many items are kept in memory
SOME = 3  # of which so many are read at a time
LOOK_SECONDS = 10.0  # between looks at what other windows have done
ASKS = {
    "pair": "Which is better? Whose each is, is shown after you choose.",
    "single": "Is it good? Whose it is, is shown after you judge.",
}


class FeedingScreen(SavingScreen):
    """A screen with a `Sheet` and a `Tally` that has the next items of the batch `chosen` in memory.

    Answers are written while it is open.
    """

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.chosen = batch
        self.queue = Queue()
        self.far = Progress(0, 0, 0, 0)
        self.clock = Clock()
        self.marked: int | None = None
        self.differing = self.stopped = self._reading = self._asking = False
        self._looked = monotonic()

    def on_mount(self) -> None:
        self.filling = Filling(
            self.tuner.home,
            self.chosen,
            self.tuner.database,
            lambda maker: self.tuner.model_link.maker(self.tuner.settings, maker),
            ready=lambda: self.far.ready,
            filled=self._filled,
        )
        self.query_one(Sheet).focus()
        self.set_interval(1.0, self.count)
        self.call_after_refresh(self._open)

    @work
    async def _open(self) -> None:
        try:
            self.clock = Clock(await self.tuner.database(batches.given_since, midnight()))
            await self._look()
        except UserError as error:
            self.notice.fail(error)
        if self.queue.current is None:
            self.draw()
        self._fill()

    # --- what comes next

    async def _look(self) -> None:
        """Read how far the batch is and what can be judged."""
        self._looked = monotonic()
        self.far = await self.tuner.database(batches.progress, self.chosen.id)
        await self._read()

    async def _read(self) -> None:
        """Have enough items in memory, where there are."""
        if self._reading:
            return
        self._reading = True
        try:
            while len(self.queue) < KEPT and await self._read_some():
                if self.queue.current is None:
                    self.advance()
                    self.ask()
        finally:
            self._reading = False

    async def _read_some(self) -> bool:
        """Read on in the batch, from its beginning again when its end is reached, and set it into lines.

        Few items at a time, so that a key never waits for it. Whether there were any.
        """
        again = self.queue.after < 0
        wanted = SOME + (len(self.queue) + 1 if again else 0)
        found = await self.tuner.database(
            sharing.waiting, self.chosen.id, after=self.queue.after, limit=wanted
        )
        self.queue.after = found[-1].position if len(found) == wanted else -1
        of = partial(Shown.of, width=self.query_one(Sheet).place, differing=self.differing)
        new = await asyncio.to_thread(lambda: [of(waiting) for waiting in self.queue.new(found)])
        self.queue.add(new)
        return bool(new) or not again

    @work
    async def _read_on(self) -> None:
        try:
            await self._read()
        except UserError as error:
            self.notice.fail(error)

    async def on_store_changed(self, _: StoreChanged) -> None:
        """Another window may have answered or judged something."""
        if self.queue.current is None or monotonic() - self._looked > LOOK_SECONDS:
            try:
                await self._look()
                self.count()
            except UserError as error:
                self.notice.fail(error)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def advance(self) -> None:
        """Show the next item."""
        self.queue.advance()
        self.marked = None
        self.draw()
        self._read_on()

    def draw(self, *, stay: bool = False) -> None:
        """Show the current item, set anew where the screen or what is wanted has changed."""
        sheet, shown = self.query_one(Sheet), self.queue.current
        if shown is None:
            lines = tuple((line,) for line in Content(self._nothing()).wrap(sheet.place))
            sheet.show(Spread(lines, 0, sheet.place))
        else:
            if stay or shown.spread.width != sheet.place:
                shown.spread = lay_out(
                    shown.waiting.item,
                    shown.order,
                    sheet.place,
                    marked=self.marked,
                    differing=self.differing,
                )
            sheet.show(shown.spread, stay=stay)
        if self._asking != (shown is not None):  # other keys work now
            self._asking = shown is not None
            self.refresh_bindings()
        self.count()

    def _nothing(self) -> str:
        if self.far.left:
            writing = "\nThe answers are being written; the first is shown when it is there."
            return "" if self.stopped else writing
        others = f"; the other {self.far.others:,} are in others' hands" if self.far.others else ""
        return (
            f"\n{self.far.judged:,} judged{others or ': this batch is done'}.\n\n"
            "Esc goes back to the batches, Ctrl+T trains, u takes the last label back."
        )

    def ask(self) -> None:
        """Say what is asked."""
        self.query_one(Tally).say(ASKS[self.chosen.kind])

    def count(self) -> None:
        """Say how far the batch is, and how fast it goes."""
        doing = f"writing {self.filling.in_flight}" if self.filling.in_flight else ""
        pace = Pace(self.clock.a_minute(), len(self.clock), self.tuner.settings.goal)
        self.query_one(Tally).count(self.far, pace, doing)

    # --- answers

    @work(exclusive=True, group="filling")
    async def _fill(self) -> None:
        self.stopped = False
        try:
            await self.filling.run()
        except UserError as error:
            self.stopped = True
            why = self.tuner.model_link.lost(self.tuner.settings) or error
            do = f"{error.do} R tries again.".strip()
            self.notice.fail(UserError(why.what, kept="Nothing that you judged is lost.", do=do))
        if self.queue.current is None:
            self.draw()
        self.refresh_bindings()

    def _filled(self) -> None:
        """One more prompt was answered, or cannot be."""
        self._take_in()

    @work
    async def _take_in(self) -> None:
        try:
            self.far = await self.tuner.database(batches.progress, self.chosen.id)
            await self._read()
        except UserError as error:
            self.notice.fail(error)
        if self.queue.current is None:
            self.draw()
        self.count()

    def action_try_again(self) -> None:
        self.notice.clear()
        self._try_again()

    @work
    async def _try_again(self) -> None:
        try:
            await self.tuner.database(batches.try_again, self.chosen.id)
            await self._look()
        except UserError as error:
            self.notice.fail(error)
            return
        self._fill()
        self.draw()
