"""What the chat tab asks of the store: each a transaction, and only in the person's own conversations."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any

from engine.errors import UserError
from tuner_app.clean import one_line, visible
from tuner_app.conversing import asking, branches, dialogue, judged
from tuner_app.conversing.dialogue import Dialogue
from tuner_app.conversing.judged import CORRECTED, Label
from tuner_app.settings import Settings
from tuner_app.store import Store, chats, labels, models
from tuner_app.store.rows import Conversation, Message, Verb

BASE = "base"
LONGEST = 20_000  # characters of a prompt or a correction
MOST_LISTED = 500  # conversations
_THUMBS: Mapping[str, str] = {"good": "Like", "bad": "Dislike"}


@dataclass(frozen=True)
class Shown:
    """What a browser's page shows, as the browser sends it along: ids alone. `pair` names two answers to
    choose between; `busy` while an answer is under way whose end has not been shown yet.

    `ticket` is new with each answer of the server. What is sent again, because its answer was lost on the
    way, comes with the same one, and so is the same message or label.
    """

    conversation: int | None = None
    messages: tuple[int, ...] = ()
    pair: str = ""
    put_away: bool = False
    busy: bool = False
    ticket: str = ""

    @property
    def text(self) -> str:
        """For the browser."""
        return json.dumps(asdict(self))

    @staticmethod
    def of(text: str) -> "Shown":
        """What a browser has sent; a UserError where it is nothing that it was given."""
        try:
            shown = Shown(**json.loads(text))
            whole = [*shown.messages, *([] if shown.conversation is None else [shown.conversation])]
        except (TypeError, ValueError, RecursionError) as error:
            raise _stale() from error
        words = (shown.pair, shown.ticket)
        if not all(type(one) is int for one in whole) or not all(isinstance(one, str) for one in words):
            raise _stale()
        away, busy = shown.put_away is True, shown.busy is True
        return replace(shown, messages=tuple(shown.messages), put_away=away, busy=busy)

    def uid(self, person: str, *deed: object) -> str:
        """The uid of what a person does here: the same for the same deed."""
        return sha256(json.dumps([self.ticket, person, *deed]).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt, to choose between: shown in `order`, under a name of their own."""

    name: str
    first: Message
    second: Message
    order: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """What is there to show: a conversation, and the titles of all, by id, and of those put away."""

    dialogue: Dialogue
    titles: tuple[tuple[str, int], ...]
    away: tuple[tuple[str, int], ...] = ()

    @property
    def shown(self) -> Shown:
        """The ids of it."""
        here = self.dialogue.conversation
        if here is None:
            return Shown()
        ids = tuple(turn.message.id for turn in self.dialogue.turns)
        return Shown(here.id, ids, put_away=here.archived)

    @property
    def last(self) -> Message | None:
        """The answer at the end."""
        last = self.dialogue.turns[-1].message if self.dialogue.turns else None
        return last if last and last.role == "assistant" else None


def view(store: Store, person: str, conversation_id: int | None) -> View:
    """A conversation of the person's, or an empty page."""
    with store.read():
        shown = Dialogue()
        if conversation_id is not None:
            chats.own(store, conversation_id, person)
            shown = dialogue.load(store, conversation_id, person=person)
        listed = chats.conversations(store, limit=MOST_LISTED, person=person)
        here = shown.conversation
        if here and here.archived:
            listed = [here, *listed]
        away = chats.conversations(store, limit=MOST_LISTED, archived=True, person=person)
    return View(shown, _titles(listed), _titles(away))


def _titles(listed: list[Conversation]) -> tuple[tuple[str, int], ...]:
    return tuple((one_line(one.title) or f"#{one.id}", one.id) for one in listed)


def latest(store: Store, person: str) -> View:
    """The person's latest conversation, or an empty page."""
    found = chats.conversations(store, limit=1, person=person)
    return view(store, person, found[0].id if found else None)


def names(store: Store, settings: Settings) -> list[str]:
    """The models that can answer: the base that the settings name, and the adapters on it."""
    if settings.chat_url:
        return [settings.adapter or BASE]
    bases = [base for base in models.bases(store) if base.source == settings.base]
    rows = [row for base in bases for row in models.adapters(store, base.id)]
    return [BASE, *(row.name for row in rows if not row.is_reward)]


def usual(store: Store, settings: Settings) -> str:
    """The name of the model that answers where a person has not chosen one."""
    return settings.adapter if settings.adapter in names(store, settings) else BASE


def by(store: Store, settings: Settings, name: str | None, conversation_id: int) -> Settings:
    """The settings with which the model called `name` answers in a conversation."""
    name = name or usual(store, settings)
    if name not in names(store, settings):
        raise UserError(f"There is no model “{one_line(name)}” here.", do="Choose another one.")
    conversation = chats.get(store, conversation_id)
    decoding = asking.decoding_of(settings, conversation)
    return replace(settings, adapter="" if name == BASE else name, decoding=decoding)


def ask(
    store: Store, person: str, shown: Shown, text: str, uid: str, *, instead: int | None = None
) -> Message:
    """Keep a prompt; the one that waits for its answer already, where `text` is empty."""
    check_length(text)
    before = message(store, person, shown, instead) if instead is not None else None
    if text.strip():
        here = shown.conversation
        return dialogue.ask(store, here, text, one_line(text), uid, instead=before, person=person)
    waiting = view(store, person, shown.conversation).dialogue.unanswered
    if waiting is None:
        raise UserError("The prompt is empty.")
    return waiting


def message(store: Store, person: str, shown: Shown, place: int) -> Message:
    """What stands at a place of what is shown."""
    if shown.conversation is None or not 0 <= place < len(shown.messages):
        raise _stale()
    chats.own(store, shown.conversation, person)
    found = chats.message(store, shown.messages[place])
    if found.conversation_id != shown.conversation:  # a browser can send any number
        raise _stale()
    return found


def last_answer(store: Store, person: str, shown: Shown) -> tuple[Message, Message]:
    """The answer at the end of what is shown, and what it answers."""
    answer = message(store, person, shown, len(shown.messages) - 1)
    if answer.role != "assistant" or answer.parent_id is None:
        raise UserError("There is no answer yet.")
    return answer, chats.message(store, answer.parent_id)


def last_question(store: Store, person: str, shown: Shown) -> Message:
    """The prompt at the end of what is shown, answered or not."""
    last = message(store, person, shown, len(shown.messages) - 1)
    return last if last.role == "user" else last_answer(store, person, shown)[1]


def rate(store: Store, person: str, shown: Shown, place: int, verb: Verb, uid: str) -> str:
    """Keep a thumb, unless it stands already, so that a second try gives no second label; what it fed."""
    answer = message(store, person, shown, place)
    if answer.finish == CORRECTED:
        raise UserError("This is your own correction.", do="Edit it, or take it back.")
    with store.write():
        standing = judged.on_answers(store, [answer], person=person)[answer.id]
        if labels.find(store, uid) or any(
            event.verb == verb for event, item in standing if item.kind == "single"
        ):
            return ""
        return judged.label(store, Label((answer,), verb, uid=uid), person=person)


def correct(store: Store, person: str, shown: Shown, place: int, text: str, uid: str) -> str:
    """Keep what the answer should have been; what it fed."""
    check_length(text)
    answer = message(store, person, shown, place)
    if labels.find(store, uid):
        return ""
    turns = view(store, person, shown.conversation).dialogue.turns
    original = next((turn.original for turn in turns if turn.message.id == answer.id), None) or answer
    if text.strip() in ("", answer.content.strip()):
        raise UserError("The text is empty or unchanged.", kept="Nothing was changed.")
    return judged.label(store, Label((original,), "correct", 0, text, uid=uid), person=person)


def choose(
    store: Store,
    person: str,
    shown: Shown,
    pair: Pair | None,
    verb: Verb,
    side: int,
    uid: str,
) -> str:
    """Keep a verdict on `pair`, `side` counted as they are shown; what it fed."""
    if shown.conversation is not None and labels.find(store, uid):
        return ""
    if shown.conversation is None or pair is None or pair.name != shown.pair:
        raise UserError("There are no two answers to choose between.", do="Reload the page.")
    chats.own(store, shown.conversation, person)
    reply = pair.order[side] if verb == "choose" else None
    given = Label((pair.first, pair.second), verb, reply, shown=pair.order, uid=uid)
    return judged.label(store, given, person=person)


def undo(store: Store, person: str, shown: Shown, uid: str) -> bool:
    """Take back the person's latest label in the conversation; whether there was one."""
    if labels.find(store, uid):
        return True
    answer, _ = last_answer(store, person, shown)
    return judged.undo(store, answer, uid, person=person) is not None


def switch(store: Store, person: str, shown: Shown) -> None:
    """Show the next of the answers that could stand at the end."""
    answer, _ = last_answer(store, person, shown)
    branches.switch(store, answer, 1, person=person)


def rename(store: Store, person: str, shown: Shown, title: str) -> None:
    """Give the conversation another title."""
    if shown.conversation is None or not title.strip():
        raise UserError("A conversation needs a title.", kept="Nothing was changed.")
    chats.own(store, shown.conversation, person)
    chats.rename(store, shown.conversation, one_line(title, 200))


def put_away(store: Store, person: str, shown: Shown) -> None:
    """Take the conversation out of the list, or put it back: the other of what is shown."""
    if shown.conversation is None:
        raise UserError("There is no conversation yet.")
    chats.own(store, shown.conversation, person)
    chats.archive(store, shown.conversation, not shown.put_away)


def bubbles(shown: Dialogue, under_way: str | None = None) -> list[dict[str, Any]]:
    """The conversation as Gradio's Chatbot takes it; `under_way` is an answer that is being written."""
    said = [{"role": turn.message.role, "content": visible(turn.message.content)} for turn in shown.turns]
    return said if under_way is None else [*said, {"role": "assistant", "content": visible(under_way) or "…"}]


def thumbs(shown: Dialogue) -> list[str | None]:
    """The thumb that stands on each answer, as the Chatbot takes them."""
    return [
        next((_THUMBS[mark] for mark in reversed(turn.marks) if mark in _THUMBS), None)
        for turn in shown.turns
        if turn.message.role == "assistant"
    ]


def _stale() -> UserError:
    return UserError("This page is not up to date.", kept="Nothing was changed.", do="Reload it.")


def check_length(text: str) -> None:
    """A UserError where a text is too long."""
    if len(text) > LONGEST:
        raise UserError(f"The text has more than {LONGEST:,} characters.", do="Shorten it.")
