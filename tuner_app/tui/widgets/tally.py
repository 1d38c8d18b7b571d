"""How far the person is with a batch, how fast, and what the last label did."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tuner_app.clean import visible
from tuner_app.store.rows import Progress
from tuner_app.times import lasting
from tuner_app.tui.wrapping import lines_of

BAR = 10  # cells


@dataclass(frozen=True)
class Pace:
    """Labels in a minute (0 while that is not known), how many were given today, and how many are meant to
    be (0: no goal)."""

    a_minute: float = 0.0
    today: int = 0
    goal: int = 0


class Tally(Vertical):
    """Two lines: what the last label did or what is asked, and how far the batch is."""

    DEFAULT_CSS = """
    Tally { height: 2; padding: 0 1; background: $surface; }
    Tally Static { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._far = Content("")

    def compose(self) -> ComposeResult:
        yield Static(markup=False, id="said")
        yield Static(markup=False, id="far")

    def say(self, text: str, mark: str = "") -> None:
        """What was done, or what is asked; `mark` is a sign before it."""
        style = {"✓": "bold $text-success", "✗": "bold $text-error"}.get(mark, "bold")
        content = Content.assemble((f"{mark} ".lstrip(), style), " ".join(visible(text).split()))
        self.query_one("#said", Static).update(content, layout=False)

    def count(self, far: Progress, pace: Pace, doing: str) -> None:
        """How far it is; `doing` says what is being written."""
        words = [Content.assemble((f"{far.judged:,}/{far.prompts - far.failed:,}", "bold"), " judged")]
        if far.left:
            words.append(Content(f"{far.ready:,} ready"))
        if far.failed:
            words.append(Content(f"{far.failed:,} without answers"))
        if pace.a_minute:
            words.append(Content(f"{pace.a_minute:.0f} a minute"))
            if far.left:
                words.append(Content(f"{lasting(60 * far.left / pace.a_minute)} left"))
        if pace.goal:
            full = min(BAR, BAR * pace.today // pace.goal)
            words.append(Content(f"today {pace.today:,}/{pace.goal:,} {'█' * full}{'░' * (BAR - full)}"))
        elif pace.today:
            words.append(Content(f"{pace.today:,} today"))
        if doing:
            words.append(Content.styled(doing, "$foreground-muted"))
        line = lines_of(words, max(20, self.content_size.width))[0]
        if line != self._far:
            self._far = line
            self.query_one("#far", Static).update(line, layout=False)
