"""What has happened, for the screens to answer to."""

from dataclasses import dataclass

from textual.message import Message

from tuner_app.conversing.link import State
from tuner_app.store.run_rows import RunEvent


@dataclass(frozen=True)
class Link:
    """Whether a model can answer: `off` until it is first needed; `detail` is a log line or a reason."""

    state: State
    detail: str = ""


class StoreChanged(Message, bubble=False):
    """Somebody, this process or another, has committed something; `events` are the runs' new events.

    The watcher posts it to the app, and the app to every open screen.
    """

    def __init__(self, events: list[RunEvent]) -> None:
        super().__init__()
        self.events = events


class WatchFailed(Message):
    """The database could not be watched for a moment."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class PromptSubmitted(Message):
    """The person sent a prompt; "" asks again for an answer that did not come."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class PromptLeft(Message):
    """The person left the prompt box for the transcript."""
