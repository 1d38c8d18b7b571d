"""Editing an example: each of its texts in a field."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Select, Static

from engine.examples import Demonstration, Example, Message, Pair, Rated
from tuner_app.clean import visible
from tuner_app.tui.widgets.form import choice_row
from tuner_app.tui.widgets.key_bar import KeyBar
from tuner_app.tui.widgets.notice import Notice
from tuner_app.tui.widgets.text_box import TextBox
from tuner_app.tui.widgets.top_bar import TopBar


class ExampleScreen(Screen[Example | None]):
    """Ctrl+S hands the edited example over, Esc nothing."""

    KEYS_OF = "Editing an example"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "save", tooltip="save; what it was stays in its history"),
        Binding("tab", "app.focus_next", "next field", key_display="tab"),
        Binding("escape", "leave", "abandon", key_display="esc"),
    ]
    DEFAULT_CSS = """
    #parts { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #parts Static.part { height: 1; margin: 1 0 0 0; text-style: bold; color: $text-primary; }
    #parts TextBox { height: auto; min-height: 3; max-height: 14; border: none; padding: 0 1;
                     border-left: outer $foreground 20%; background: $panel; }
    #parts TextBox:focus { border-left: outer $accent; }
    """

    def __init__(self, example: Example) -> None:
        super().__init__()
        self._example = example
        self._parts = parts(example)

    def compose(self) -> ComposeResult:
        yield TopBar("edit")
        with VerticalScroll(id="parts", can_focus=False):
            if isinstance(self._example, Rated):
                thumb = "good" if self._example.good else "bad"
                yield choice_row("thumb", {"good": "good", "bad": "bad"}, thumb, "", id="thumb")
            for name, text in self._parts:
                yield Static(Content(name), markup=False, classes="part")
                box = TextBox(text)
                box.tab_behavior = "focus"
                yield box
        yield Notice()
        yield KeyBar()

    def on_mount(self) -> None:
        list(self.query(TextBox))[-1].focus()

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_save(self) -> None:
        boxes = self.query(TextBox)
        texts = [
            # What cannot be seen is shown as glyphs: it stays what it was in a text that nobody touched.
            text if box.text == visible(text) else box.text
            for box, (_, text) in zip(boxes, self._parts, strict=True)
        ]
        for box, (name, _), text in zip(boxes, self._parts, texts, strict=True):
            if name in REPLIES and not text.strip():
                box.focus()
                self.query_one(Notice).fail(
                    f"The text “{name}” is empty. Write it, or Esc and remove the example."
                )
                return
        good = isinstance(self._example, Rated) and self.query_one("#thumb", Select).value == "good"
        edited = with_texts(self._example, texts, good=good)
        if isinstance(edited, Pair) and edited.chosen == edited.rejected:
            self.query_one(Notice).fail("Both replies are the same: a pair of them teaches nothing.")
            return
        self.dismiss(edited)


REPLIES = ("assistant", "chosen", "rejected", "reply")


def parts(example: Example) -> list[tuple[str, str]]:
    """The texts of an example with what each is, in the order of reading."""
    turns = example.messages if isinstance(example, Demonstration) else example.prompt
    named = [(turn.role, turn.content) for turn in turns]
    match example:
        case Pair(chosen=chosen, rejected=rejected):
            return [*named, ("chosen", chosen), ("rejected", rejected)]
        case Rated(reply=reply):
            return [*named, ("reply", reply)]
    return [*named]


def with_texts(example: Example, texts: list[str], *, good: bool = False) -> Example:
    """The example with other texts, in the order of `parts`; `good` is the thumb of a rated reply."""
    turns = example.messages if isinstance(example, Demonstration) else example.prompt
    said = tuple(Message(turn.role, text) for turn, text in zip(turns, texts, strict=False))
    match example:
        case Demonstration():
            return replace(example, messages=said)
        case Pair():
            return replace(example, prompt=said, chosen=texts[-2], rejected=texts[-1])
        case Rated():
            return replace(example, prompt=said, reply=texts[-1], good=good)
    return replace(example, prompt=said)
