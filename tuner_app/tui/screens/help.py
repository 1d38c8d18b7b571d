"""All keys."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

_KEYS = {
    "Everywhere": [
        ("Ctrl+N", "new conversation"),
        ("Ctrl+L", "list of conversations"),
        ("Ctrl+O", "which model answers"),
        ("Ctrl+T", "train"),
        ("Ctrl+R", "runs"),
        ("Ctrl+P", "all commands; themes, dark and light"),
        ("F1, ?", "this page (? only outside text fields)"),
        ("Esc", "back"),
        ("Ctrl+Q", "quit; runs and the chat worker go on"),
    ],
    "Typing a prompt": [
        ("Enter", "send; in an empty box, ask again"),
        ("Ctrl+J", "new line (Shift+Enter too, where the terminal has it)"),
        ("Esc", "stop the answer; else go to the answers"),
        ("Tab", "go to the answers"),
    ],
    "On an answer": [
        ("↑ ↓", "select another answer; below the last is the prompt box"),
        ("a", "good"),
        ("x", "bad"),
        ("e", "correct it in its place; Ctrl+S saves, Esc abandons"),
        ("s", "write a second answer and choose between the two"),
        ("r", "answer again; the old answer is kept"),
        ("← →", "go between the answers to one question"),
        ("u", "take back your last label on it"),
    ],
    "Between two answers": [
        ("1, f", "the first shown is better"),
        ("2, j", "the second shown is better"),
        ("0", "a tie: feeds nothing"),
        ("b", "both are bad"),
        ("← →, e", "mark one, and correct it: it counts as the better"),
        ("Space", "skip"),
        ("u", "take the choice back"),
        ("Enter", "go on with the chosen one"),
    ],
    "Train": [("Ctrl+S", "start"), ("Tab, Enter", "next field")],
    "A run": [
        ("s", "stop; a checkpoint is kept"),
        ("r", "resume"),
        ("c", "chat with it when it is done, in a new conversation"),
    ],
}


class HelpScreen(ModalScreen[None]):
    """Any of Esc, ?, F1 and q closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,f1,q", "dismiss", "close")]

    def compose(self) -> ComposeResult:
        lines = [Content.styled("All keys   (↑ ↓ scroll, Esc closes)", "bold $text-primary")]
        for where, keys in _KEYS.items():
            lines.append(Content.assemble("\n", (where, "bold")))
            lines += [Content.assemble((f"  {key:<12}", "$text-accent"), what) for key, what in keys]
        with VerticalScroll():
            yield Static(Content("\n").join(lines), markup=False)
