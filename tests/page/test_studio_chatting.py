"""What a person does in the studio's chat and with written examples: their own, and nobody else's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from engine.errors import UserError
from engine.examples import Demonstration, Message
from tuner_app.conversing import dialogue
from tuner_app.page.studio import chatting, writing
from tuner_app.page.studio.chatting import Pair, Shown
from tuner_app.paths import Home
from tuner_app.settings import Settings
from tuner_app.store import Store, chats, examples, labels, models, people
from tuner_app.store.asked import Asked

ANN, BOB = "Ann", "Bob"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(Home(tmp_path).database, migrate=True)
    for name in (ANN, BOB):
        people.add(store, name)
    return store


def answer(store: Store, question: object, text: str, *, tip: bool = True) -> None:
    dialogue.keep_answer(
        store, question=question, sent=Asked(), text=text, finish="stop", by=Settings(), seed=1, tip=tip,
        uid=uuid4().hex,
    )  # fmt: skip


@pytest.fixture
def shown(store: Store) -> Shown:
    """A conversation of Ann's with one answer."""
    question = chatting.ask(store, ANN, Shown(), "What is a tree?", "1")
    answer(store, question, "A plant.")
    return chatting.latest(store, ANN).shown


def verbs(store: Store, person: str) -> dict[str, int]:
    return dict(labels.counts(store, person))


def pair_of(store: Store, shown: Shown) -> Pair:
    """The answer of `shown` twice, to choose between."""
    answer = chats.message(store, shown.messages[1])
    return Pair("p", answer, answer, (0, 1))


DOES: dict[str, Callable[[Store, str, Shown], object]] = {
    "see": lambda store, who, shown: chatting.view(store, who, shown.conversation),
    "ask": lambda store, who, shown: chatting.ask(store, who, shown, "And a bush?", "2"),
    "ask instead": lambda store, who, shown: chatting.ask(store, who, shown, "A bush?", "2", instead=0),
    "read": lambda store, who, shown: chatting.message(store, who, shown, 1),
    "ask again": lambda store, who, shown: chatting.last_question(store, who, shown),
    "compare": lambda store, who, shown: chatting.last_answer(store, who, shown),
    "rate": lambda store, who, shown: chatting.rate(store, who, shown, 1, "good", "3"),
    "correct": lambda store, who, shown: chatting.correct(store, who, shown, 1, "A big plant.", "4"),
    "choose": lambda store, who, shown: chatting.choose(
        store, who, replace(shown, pair="p"), pair_of(store, shown), "tie", 0, "5"
    ),
    "undo": lambda store, who, shown: chatting.undo(store, who, shown, "6"),
    "switch": lambda store, who, shown: chatting.switch(store, who, shown),
    "rename": lambda store, who, shown: chatting.rename(store, who, shown, "mine now"),
    "put away": lambda store, who, shown: chatting.put_away(store, who, shown),
}


@pytest.mark.parametrize("act", DOES)
@pytest.mark.parametrize("who", [BOB, people.ME])
def test_nobody_else_does_anything_in_a_conversation(store: Store, shown: Shown, act: str, who: str) -> None:
    before = chatting.view(store, ANN, shown.conversation)
    with pytest.raises(UserError, match="There is no conversation"):
        DOES[act](store, who, shown)
    assert chatting.view(store, ANN, shown.conversation) == before
    assert verbs(store, who) == {}
    assert chatting.latest(store, who).titles == ()


def test_a_thumb_is_given_once_however_often_it_is_sent(store: Store, shown: Shown) -> None:
    assert chatting.rate(store, ANN, shown, 1, "good", "a")
    assert chatting.rate(store, ANN, shown, 1, "good", "b") == ""
    assert chatting.thumbs(chatting.latest(store, ANN).dialogue) == ["Like"]
    chatting.rate(store, ANN, shown, 1, "bad", "c")
    assert chatting.thumbs(chatting.latest(store, ANN).dialogue) == ["Dislike"]
    assert verbs(store, ANN) == {"bad": 1}
    assert verbs(store, people.ME) == {}


def all_there_is(store: Store) -> list[int]:
    """How many conversations, messages and events of labels there are."""
    counted = [f"SELECT count(*) AS n FROM {name}" for name in ("conversations", "messages", "label_events")]
    return [row["n"] for query in counted if (row := store.one(query))]


@pytest.mark.parametrize("act", ["ask", "ask anew", "ask instead", "rate", "correct", "choose", "undo"])
def test_what_is_sent_again_as_it_was_counts_once(store: Store, shown: Shown, act: str) -> None:
    """The answer to the first try was lost: the browser sends the same again, and it is taken as saved."""
    deed = DOES.get(act) or (lambda store, who, _: chatting.ask(store, who, Shown(), "Anew?", "7"))
    chatting.rate(store, ANN, shown, 1, "bad", "first")
    chatting.correct(store, ANN, shown, 1, "A shrub.", "second")
    deed(store, ANN, shown)
    there = all_there_is(store)
    deed(store, ANN, shown)
    assert all_there_is(store) == there


def test_a_deed_has_a_uid_of_its_own() -> None:
    shown = Shown(1, (1, 2), ticket="t")
    uids = [
        shown.uid(ANN, "undo"),
        shown.uid(BOB, "undo"),
        replace(shown, ticket="u").uid(ANN, "undo"),
        shown.uid(ANN, "correct", 1, "text"),
        shown.uid(ANN, "correct", 1, "other"),
    ]
    assert len({*uids}) == len(uids)
    assert Shown.of(shown.text).uid(ANN, "undo") == uids[0]


@pytest.mark.parametrize(
    "sent",
    [
        *("", "null", "[]", "{", '{"more": 1}', '{"messages": 3}', '{"messages": ["1"]}'),
        *('{"conversation": "1"}', '{"conversation": true}', '{"ticket": 1}', '{"pair": []}', "[" * 10_000),
    ],
)
def test_what_no_page_was_given_is_refused(sent: str) -> None:
    with pytest.raises(UserError, match="not up to date"):
        Shown.of(sent)


def test_a_browser_names_no_message_of_another_conversation(store: Store, shown: Shown) -> None:
    other = chatting.ask(store, BOB, Shown(), "Mine alone?", "9")
    sent = Shown.of(json.dumps(json.loads(shown.text) | {"messages": [other.id]}))
    with pytest.raises(UserError, match="not up to date"):
        chatting.message(store, ANN, sent, 0)


def test_what_is_put_away_is_found_and_comes_back(store: Store, shown: Shown) -> None:
    for _ in range(2):  # sent twice, because the answer to the first was lost
        chatting.put_away(store, ANN, shown)
    assert chatting.latest(store, ANN).titles == ()
    away = chatting.view(store, ANN, None).away
    assert away == (("What is a tree?", shown.conversation),)
    assert chatting.view(store, BOB, None).away == ()
    opened = chatting.view(store, ANN, away[0][1])
    assert opened.titles == away
    for _ in range(2):
        chatting.put_away(store, ANN, opened.shown)
    assert chatting.latest(store, ANN).shown == shown


def test_a_correction_takes_the_answers_place_until_it_is_undone(store: Store, shown: Shown) -> None:
    chatting.correct(store, ANN, shown, 1, "A tall plant.", "a")
    corrected = chatting.latest(store, ANN)
    assert [bubble["content"] for bubble in chatting.bubbles(corrected.dialogue)][-1] == "A tall plant."
    assert verbs(store, ANN) == {"correct": 1}
    assert chatting.undo(store, ANN, corrected.shown, "b")
    assert chatting.latest(store, ANN).shown == shown


def test_the_side_that_was_shown_is_the_reply_that_is_chosen(store: Store, shown: Shown) -> None:
    first, question = chatting.last_answer(store, ANN, shown)
    answer(store, question, "A thing with leaves.", tip=False)
    second = chats.answers(store, question.id)[-1]
    pair = Pair("p", first, second, (1, 0))
    for stale in (None, replace(pair, name="another")):
        with pytest.raises(UserError, match="no two answers"):
            chatting.choose(store, ANN, replace(shown, pair="p"), stale, "choose", 0, "a")
    chatting.choose(store, ANN, replace(shown, pair="p"), pair, "choose", 0, "a")
    (event,) = labels.on_messages(store, [second.id], ANN)[second.id]
    assert (event.value, event.shown) == ({"reply": 1}, (1, 0))
    last = chatting.latest(store, ANN).last
    assert last is not None
    assert last.content == "A thing with leaves."


@pytest.mark.parametrize("place", [-1, 2, 99])
def test_a_place_that_is_not_there_is_refused(store: Store, shown: Shown, place: int) -> None:
    with pytest.raises(UserError, match="not up to date"):
        chatting.rate(store, ANN, shown, place, "good", "a")


def test_who_can_answer(store: Store) -> None:
    base = models.add_base(store, "builtin", "builtin")
    other = models.add_base(store, "other", "/other")
    models.add_adapter(store, name="mine", base_id=base.id, folder="f", hash="h")
    models.add_adapter(store, name="theirs", base_id=other.id, folder="g", hash="i")
    assert chatting.names(store, Settings()) == ["base", "mine"]
    conversation = chats.start(store)
    assert chatting.by(store, Settings(), "mine", conversation.id).adapter == "mine"
    with pytest.raises(UserError, match="no model"):
        chatting.by(store, Settings(), "theirs", conversation.id)


def test_what_is_too_long_or_empty_is_refused(store: Store, shown: Shown) -> None:
    with pytest.raises(UserError, match="characters"):
        chatting.ask(store, ANN, shown, "x" * (chatting.LONGEST + 1), "a")
    with pytest.raises(UserError, match="empty"):
        chatting.ask(store, ANN, shown, "  ", "b")
    with pytest.raises(UserError, match="unchanged"):
        chatting.correct(store, ANN, shown, 1, " A plant. ", "c")


# --- written examples


def test_an_example_is_saved_with_its_author_and_tags(store: Store) -> None:
    example = writing.demonstration(
        " Be brief. ", ["What is a tree?", "A plant.", "And grass?", "Too.", "", ""]
    )
    assert [message.role for message in example.messages] == ["system", *["user", "assistant"] * 2]
    id = writing.save(store, ANN, example, "plants, easy", None)
    assert writing.listed(store, ANN) == [("What is a tree?", id)]
    assert writing.own(store, ANN, id).tags == ("easy", "plants")
    assert examples.listed(store, "demonstration")[0].source == "written by Ann"
    assert writing.listed(store, BOB) == []


def test_a_change_is_kept_with_what_was_there_before(store: Store) -> None:
    first = writing.save(store, ANN, writing.demonstration("", ["Hi", "Yes?"]), "", None)
    second = writing.save(store, ANN, writing.demonstration("", ["Hi", "Hello!"]), "polite", first)
    assert writing.listed(store, ANN) == [("Hi", second)]
    (edit,) = writing.own(store, ANN, second).history
    assert isinstance(edit.before, Demonstration)
    assert (edit.person, edit.before.messages[-1].content) == (ANN, "Yes?")
    writing.remove(store, ANN, second)
    assert writing.listed(store, ANN) == []
    assert examples.count(store) == {}


@pytest.mark.parametrize("turns", [[], [""], ["asked"], ["", "answered"], ["a", "b", "c"]])
def test_an_example_lacks_nothing(turns: list[str]) -> None:
    with pytest.raises(UserError, match="needs an answer"):
        writing.demonstration("", turns)


def test_nobody_else_changes_an_example(store: Store) -> None:
    id = writing.save(store, ANN, writing.demonstration("", ["Hi", "Yes?"]), "", None)
    imported = Demonstration((Message("user", "a"), Message("assistant", "b")))
    examples.add(store, [(imported, 1)], source="file.jsonl")
    for who, which in ((BOB, id), (ANN, id + 1)):
        for act in (writing.own, writing.remove):
            with pytest.raises(UserError, match="no example"):
                act(store, who, which)
        with pytest.raises(UserError, match="no example"):
            writing.save(store, who, writing.demonstration("", ["Hi", "No."]), "", which)
    assert writing.listed(store, ANN) == [("Hi", id)]


def test_a_change_that_is_sent_again_is_the_same_change(store: Store) -> None:
    first = writing.save(store, ANN, writing.demonstration("", ["Hi", "Yes?"]), "", None)
    assert writing.save(store, ANN, writing.demonstration("", ["Hi", "Yes?"]), "", None) == first
    changed = writing.demonstration("", ["Hi", "Hello!"])
    second = writing.save(store, ANN, changed, "polite", first)
    assert writing.save(store, ANN, changed, "polite", first) == second
    assert writing.listed(store, ANN) == [("Hi", second)]
    assert len(writing.own(store, ANN, second).history) == 1
    back = writing.save(store, ANN, writing.demonstration("", ["Hi", "Yes?"]), "", second)
    assert writing.save(store, ANN, changed, "", back) == second  # a change once more
    with pytest.raises(UserError, match="no example"):
        writing.save(store, BOB, changed, "", first)


@pytest.mark.parametrize(
    "kept",
    ["", "[]", "{}", '{"open": "1", "form": 3}', '{"open": "1", "form": ["a", "b"]}', '{"open": "1"}'],
)
def test_a_draft_that_is_none_is_left_alone(kept: str) -> None:
    assert writing.draft(kept) is None


def test_a_draft_as_the_browser_keeps_it() -> None:
    form = ["", "Hi", "Yes?", "polite"]
    assert writing.draft(json.dumps({"open": "7", "form": form})) == (7, form)
    assert writing.draft(json.dumps({"open": "", "form": form})) == (None, form)
    assert writing.draft(json.dumps({"open": "-1", "form": form})) == (None, form)
