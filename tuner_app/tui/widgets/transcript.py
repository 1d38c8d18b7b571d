"""The conversation so far."""

import asyncio

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tuner_app.tui.dialogue import Turn
from tuner_app.tui.widgets.answer import Answer
from tuner_app.tui.widgets.comparison import Comparison
from tuner_app.tui.widgets.question import Question

_EMPTY = (
    "A new conversation. Type below and press Enter.\n\n"
    "Then press Tab to reach the answer: a good, x bad, e correct, s second answer to choose from.\n"
    "What you do becomes training data; Ctrl+T trains on it."
)


class Transcript(VerticalScroll, can_focus=False):
    """Questions and answers, oldest first; keeps the widgets of messages that stay."""

    def __init__(self) -> None:
        super().__init__()
        self._one_at_a_time = asyncio.Lock()

    async def show(self, turns: list[Turn]) -> None:
        """Show these turns and no others."""
        async with self._one_at_a_time:
            await self._show(turns)

    async def _show(self, turns: list[Turn]) -> None:
        kept = 0
        shown = [widget for widget in self.children if isinstance(widget, Question | Answer)]
        for widget, turn in zip(shown, turns, strict=False):
            if _id_of(widget) != turn.message.id:
                break
            widget.display = True
            if isinstance(widget, Answer):
                widget.update(turn)
            kept += 1
        last = shown[kept - 1] if kept else None
        with self.app.batch_update():
            await self.remove_children([*shown[kept:], *self.query(".empty")])
            new = [_widget(turn) for turn in turns[kept:]]
            await (self.mount_all(new, after=last) if last else self.mount_all(new, before=0))
            if not turns:
                await self.mount(Static(Content.styled(_EMPTY, "$foreground-muted"), classes="empty"))

    async def put(self, widget: Widget, *, after: Widget | None = None) -> None:
        """Show `widget` after another, or at the end."""
        await self.query(".empty").remove()
        await self.mount(widget, after=after)
        if after:
            widget.scroll_visible(animate=False)
        else:
            self.anchor()

    def go_to(self, message_id: int) -> None:
        """Bring a message into view, and select it where it can be."""
        for widget in self.children:
            if isinstance(widget, Question | Answer) and _id_of(widget) == message_id:
                self.release_anchor()
                widget.scroll_visible(animate=False, top=True)
                if widget.can_focus:
                    widget.focus(scroll_visible=False)

    def stops(self) -> list[Answer | Comparison]:
        """What can be selected, from top to bottom."""
        found = (widget for widget in self.children if isinstance(widget, Answer | Comparison))
        return [widget for widget in found if widget.display]


def _widget(turn: Turn) -> Widget:
    if turn.message.role == "assistant":
        return Answer(turn)
    role = turn.message.role
    return Question(turn.message.id, turn.message.content, who="you" if role == "user" else role)


def _id_of(widget: Question | Answer) -> int:
    return widget.turn.message.id if isinstance(widget, Answer) else widget.message_id
