"""The conversation so far."""

import asyncio

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuner_app.conversing.dialogue import Turn
from tuner_app.tui.widgets.answer import Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.question import Question
from tuner_app.tui.widgets.spoken import Spoken

_EMPTY = (
    "A new conversation. Type below and press Enter.\n\n"
    "Then press Tab to reach the answer: a good, x bad, e correct, s second answer to choose from.\n"
    "What you do becomes training data; Ctrl+T trains on it."
)


_AT_ONCE = 20  # messages; a widget costs every key a little, wherever it is


class Transcript(VerticalScroll, can_focus=False):
    """Questions and answers, oldest first; keeps the widgets of messages that stay.

    Of a long conversation the last messages are shown, and those before them when the person goes there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns: list[Turn] = []
        self._one_at_a_time = asyncio.Lock()

    async def show(self, turns: list[Turn]) -> None:
        """Show these turns and no others."""
        async with self._one_at_a_time:
            self._turns = turns
            await self._show(turns[self._start() :])
            await self._tell_of_earlier()

    def _start(self) -> int:
        """Which turn is the first that is shown: as before, or so that the last ones are."""
        ids = [turn.message.id for turn in self._turns]
        first = next(iter(self.query_children(Spoken)), None)
        if first and first.turn.message.id in ids:
            return ids.index(first.turn.message.id)
        return max(len(ids) - _AT_ONCE, 0)

    async def _show_from(self, start: int) -> None:
        """Show earlier turns too, without moving what is in view."""
        async with self._one_at_a_time:
            until = self._start()
            if start < until:
                first = self.query_children(Spoken).first()
                await self.mount_all([self._widget(turn) for turn in self._turns[start:until]], before=first)
                await self._tell_of_earlier()

    async def _tell_of_earlier(self) -> None:
        await self.query(".earlier").remove()
        if earlier := self._start():
            told = f"▲ {earlier} earlier messages: ↑ and Home show them"
            await self.mount(Static(Content.styled(told, "$foreground-muted"), classes="earlier"), before=0)

    async def _show(self, turns: list[Turn]) -> None:
        kept = 0
        shown = list(self.query_children(Spoken))
        for widget, turn in zip(shown, turns, strict=False):
            if widget.turn.message.id != turn.message.id:
                break
            widget.display = True
            widget.update(turn)
            kept += 1
        last = shown[kept - 1] if kept else None
        with self.app.batch_update():
            await self.remove_children([*shown[kept:], *self.query(".empty")])
            new = [self._widget(turn) for turn in turns[kept:]]
            await (self.mount_all(new, after=last) if last else self.mount_all(new, before=0))
            if not turns:
                await self.mount(Static(Content.styled(_EMPTY, "$foreground-muted"), classes="empty"))

    async def put(self, widget: Widget, *, after: Widget | None, instead: bool = False) -> None:
        """Show `widget` after another, or at the end; with `instead` hide all that followed."""
        await self.query(".empty").remove()
        if instead and after:
            for follower in self.children[self.children.index(after) + 1 :]:
                follower.display = False
        await self.mount(widget, after=after)
        if widget is self.children[-1] or instead:
            self.anchor()
        else:
            widget.scroll_visible(animate=False)

    async def go_to(self, message_id: int) -> None:
        """Bring a message into view, and select it."""
        ids = [turn.message.id for turn in self._turns]
        if message_id in ids:
            await self._show_from(ids.index(message_id))
        if widget := self.spoken(message_id):
            self.anchor(False)
            widget.focus(scroll_visible=False)
            widget.scroll_visible(animate=False, top=True)

    def stops(self) -> list[Spoken | Comparison]:
        """What can be selected, from top to bottom."""
        found = (widget for widget in self.children if isinstance(widget, Spoken | Comparison))
        return [widget for widget in found if widget.display]

    def spoken(self, message_id: int | None) -> Spoken | None:
        """The widget of a message, where it is shown."""
        return next(
            (each for each in self.query_children(Spoken) if each.turn.message.id == message_id), None
        )

    def step(self, at: Widget, by: int) -> bool:
        """Go to another stop, or first to the end of one higher than the view; False past the last."""
        view, here = self.scrollable_content_region, at.region
        if by == 1 and here.bottom > view.bottom:
            self.scroll_relative(y=min(here.bottom - view.bottom, view.height // 2), animate=False)
        elif by == -1 and here.y < view.y:
            self.scroll_relative(y=-min(view.y - here.y, view.height // 2), animate=False)
        else:
            stops = self.stops()
            place = stops.index(at) + by if at in stops else len(stops)
            if place == len(stops):
                return False
            if place < 0 and self._start():
                wanted = max(self._start() - _AT_ONCE, 0) if by == -1 else 0
                at_last = self._turns[self._start() - 1 if by == -1 else 0].message.id
                self.run_worker(self._earlier(wanted, at_last))
                return True
            from_above = by == 1 or by < -1  # the first message is shown from its start, the last to its end
            self._go_to(stops[max(min(place, len(stops) - 1), 0)], from_above=from_above)
        return True

    async def _earlier(self, start: int, message_id: int) -> None:
        await self._show_from(start)
        await self.go_to(message_id)

    def select(self, stop: Widget) -> None:
        """Select a stop; the view stays where it is as long as the stop can be seen."""
        stop.focus(scroll_visible=False)
        if stop.region and not stop.region.overlaps(self.scrollable_content_region):
            self._go_to(stop, from_above=True)

    def _go_to(self, stop: Widget, *, from_above: bool) -> None:
        stop.focus(scroll_visible=False)
        view, place = self.scrollable_content_region, stop.virtual_region
        if place.height <= view.height:
            self.scroll_to_widget(stop, animate=False)
        else:
            self.scroll_to(y=place.y if from_above else place.bottom - view.height, animate=False)

    def _widget(self, turn: Turn) -> Spoken:
        return Answer(turn) if turn.message.role == "assistant" else Question(turn)
