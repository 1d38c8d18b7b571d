"""Every labelling key, what it feeds, and what happens when it cannot be saved."""

from typing import Any

import pytest
from person import asked, opened
from scripted_server import ScriptedServer
from textual.widgets import TextArea

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app.paths import Home
from tuner_app.store import Store, chats, examples, labels
from tuner_app.store.rows import LabelEvent
from tuner_app.tui.widgets.comparison import Comparison

ASKED = (Message("user", "A cow?"),)


def fed(store: Store) -> dict[str, list[Any]]:
    kinds = ("demonstration", "pair", "rated")
    return {kind: [row.example for row in examples.listed(store, kind)] for kind in kinds}


def standing(store: Store) -> list[LabelEvent]:
    (conversation,) = chats.conversations(store)
    ids = [m.id for m in chats.answers(store, chats.path(store, conversation.id)[0].id)]
    events = (event for found in labels.on_messages(store, ids).values() for event in found)
    return list({event.uid: event for event in events}.values())


@pytest.fixture(autouse=True)
def script(server: ScriptedServer) -> None:
    server.answers = ["Moo.", "It says moo!"]


@pytest.mark.parametrize(("key", "mark", "good"), [("a", "▲ good", True), ("x", "▼ bad", False)])
async def test_a_thumb(home: Home, store: Store, key: str, mark: str, good: bool) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.press(key)
        await person.sees(f"builtin   {mark}", f"Saved: {mark}. Fed 1 thumb.")
        assert fed(store)["rated"] == [Rated(ASKED, "Moo.", good)]
        await person.press("u")
        await person.sees(f"Undone: {mark}.")
        assert f"builtin   {mark}" not in person.screen()
    assert fed(store)["rated"] == []
    assert len(labels.history(store, labels.pending(store)[0].hash)) == 2


async def test_there_may_be_nothing_to_undo(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.press("u")
        await person.sees("There is no label of yours in this conversation to undo.")
        assert "Ctrl+S" not in person.screen()
    assert standing(store) == []


async def test_a_choice_is_undone_from_the_transcript(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.second()
        await person.press("1", "enter", "tab")
        await person.sees("★ chosen")
        await person.press("u")
        await person.sees("Undone: ★ the choice.", "Moo.")
        assert "★ chosen" not in person.screen()
    assert standing(store) == []


async def test_a_correction_takes_the_place_of_the_answer(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["Moo.", "Woof."]
    async with opened(home) as person:
        await asked(person)
        await person.press("e")
        await person.sees("no changes yet", "^s save")
        await person.type(" Loudly.")
        await person.press("ctrl+s")
        await person.sees("your correction", "Moo. Loudly.", "d changes")
        await person.press("d")
        await person.sees("Moo.{+ Loudly.+}")
        await person.press("d")
        await person.sees("Fed 1 SFT row, 1 pair, 2 thumbs")
        await person.press("a")
        await person.sees("your own correction")
        await person.press("escape")
        await person.ask("A dog?", "Woof.")
    assert fed(store) == {
        "demonstration": [Demonstration((*ASKED, Message("assistant", "Moo. Loudly.")))],
        "pair": [Pair(ASKED, "Moo. Loudly.", "Moo.")],
        "rated": [Rated(ASKED, "Moo.", False), Rated(ASKED, "Moo. Loudly.", True)],
    }
    said = [m["content"] for m in server.requests[1]["messages"]]
    assert said == ["A cow?", "Moo. Loudly.", "A dog?"]
    async with opened(home) as person:
        await person.sees("Moo. Loudly.")
        await person.press("tab", "up", "up", "d")
        await person.sees("Moo.{+ Loudly.+}")


async def test_a_correction_can_be_undone_and_changed(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await asked(person)
        for typed, text in (("!", "Moo.!"), ("?", "Moo.!?")):
            await person.press("e", typed, "ctrl+s")
            await person.sees(text, "your correction")
        await person.press("u")
        await person.sees("Undone: ✎ corrected", "your correction")
        assert "Moo.!?" not in person.screen()
        assert standing(store)[0].value["text"] == "Moo.!"
        await person.press("u")
        await person.until(lambda: "your correction" not in person.screen())
    async with opened(home) as person:
        await person.sees("builtin", "Moo.")
    assert standing(store) == []


async def test_an_abandoned_correction_leaves_nothing(home: Home, store: Store) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.press("e")
        await person.sees("esc leave")
        await person.type("axu12")
        await person.press("escape")
        await person.sees("a good")
        assert "axu12" not in person.screen()
    assert standing(store) == []


@pytest.mark.parametrize(("key", "place"), [("1", 0), ("f", 0), ("2", 1), ("j", 1)], ids=["1", "f", "2", "j"])
async def test_choosing(home: Home, store: Store, key: str, place: int) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.second()
        comparison = person.app.screen.query_one(Comparison)
        order = comparison.shown
        assert "builtin ·" not in person.screen(), "blind until the choice"
        await person.press(key)
        await person.sees("Fed 1 pair, 2 thumbs", "· builtin · ★ chosen", "· builtin · not chosen")
        texts = ("Moo.", "It says moo!")
        better = texts[order[place]]
        (pair,) = fed(store)["pair"]
        assert pair == Pair(ASKED, better, texts[1 - order[place]])
        (event,) = standing(store)
        assert (event.verb, event.value, event.shown) == ("choose", {"reply": order[place]}, order)
        await person.press("enter")
        await person.sees("★ chosen")
        (conversation,) = chats.conversations(store)
        assert chats.path(store, conversation.id)[-1].content == better


@pytest.mark.parametrize(
    ("key", "verb", "said"),
    [
        ("0", "tie", "= tie"),
        ("b", "both_bad", "▼ both bad"),
        ("space", "skip", "skipped"),
    ],
)
async def test_not_choosing(home: Home, store: Store, key: str, verb: str, said: str) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.second()
        await person.press(key)
        await person.sees(f"builtin · {said}")
        assert [event.verb for event in standing(store)] == [verb]
        assert len(fed(store)["rated"]) == (2 if verb == "both_bad" else 0)
        await person.press("u")
        await person.sees("Undone.", "Which is better?")
        assert standing(store) == []
        await person.press("2")
        await person.sees("★ chosen")
    assert [event.verb for event in standing(store)] == ["choose"]


@pytest.mark.parametrize("mark", ["left", "right"])
async def test_correcting_the_better_of_two(home: Home, store: Store, mark: str) -> None:
    async with opened(home) as person:
        await asked(person)
        await person.second()
        shown = person.app.screen.query_one(Comparison).shown
        for key, place in {"left": (("down", 1),), "right": (("down", 1), ("up", 0))}[mark]:
            await person.press(key)
            panels = person.app.screen.query(".panel")
            assert [panel.has_class("-marked") for panel in panels] == [place == 0, place == 1]
        await person.press(mark, "e")
        await person.sees("it will count as the better one")
        await person.press("x", "ctrl+s")
        await person.sees("✎ corrected", "Fed 1 SFT row")
        await person.press("enter")
        await person.sees("your correction")
    (event,) = standing(store)
    index = shown[0 if mark == "left" else 1]
    assert event.value == {"reply": index, "text": ("Moo.", "It says moo!")[index] + "x"}


async def test_the_order_is_random(home: Home, server: ScriptedServer) -> None:
    orders = set()
    async with opened(home) as person:
        await asked(person)
        for number in range(20):
            server.answers = [f"Other {number}."]
            await person.second()
            orders.add(person.app.screen.query_one(Comparison).shown)
            await person.press("space", "enter", "tab")
            if len(orders) == 2:
                break
    assert orders == {(0, 1), (1, 0)}


async def test_a_second_answer_that_is_the_first_is_tried_again(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["Moo.", "Moo.", "Moo. ", "Other."]
    async with opened(home) as person:
        await asked(person)
        await person.second()
        await person.sees("Moo.", "Other.")
    (conversation,) = chats.conversations(store)
    kept = chats.answers(store, chats.path(store, conversation.id)[0].id)
    assert [answer.content for answer in kept] == ["Moo.", "Other."]
    assert [request["temperature"] for request in server.requests] == [0.7, 1.0, 1.0, 1.0]
    assert len({request["seed"] for request in server.requests}) == 4
    assert kept[1].decoding["temperature"] == 1.0


async def test_second_answers_that_never_differ_are_no_choice(home: Home, server: ScriptedServer) -> None:
    server.answers = ["Moo."] * 9
    async with opened(home) as person:
        await asked(person)
        await person.press("s")
        await person.sees("4 second answers were word for word the first")
        assert not person.app.screen.query("Comparison, Draft")
        await person.press("a")
        await person.sees("▲ good")


async def test_a_label_that_cannot_be_saved_says_so_and_is_saved_later(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, uids = labels.record, []

    def locked(*args: Any, **rest: Any) -> LabelEvent:
        uids.append(rest["uid"])
        if len(uids) == 1:
            raise UserError("The database is locked.", do="Close the other program.")
        return record(*args, **rest)

    monkeypatch.setattr(labels, "record", locked)
    async with opened(home) as person:
        await asked(person)
        await person.press("a")
        await person.sees(
            "not saved: The database is locked.", "Close the other program.", "▲ good: not saved"
        )
        assert standing(store) == []
        await person.press("ctrl+s")
        await person.sees("Saved: ▲ good")
        assert "not saved" not in person.screen()
    assert uids[0] == uids[1] == standing(store)[0].uid


async def test_a_correction_that_cannot_be_saved_stays_in_the_field(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise UserError("The disk is full.")

    async with opened(home) as person:
        await asked(person)
        with monkeypatch.context() as broken:
            broken.setattr(chats, "add", full)
            await person.press("e", "!", "ctrl+s")
            await person.sees("is not saved: The disk is full.")
            assert person.app.screen.query_one("Editor", TextArea).text == "Moo.!"
        assert standing(store) == [], "the label and the corrected text are one transaction"
        await person.press("ctrl+s")
        await person.sees("your correction", "Moo.!")
    assert len(standing(store)) == 1


async def test_the_same_answer_given_again_is_labelled_where_it_stands(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["Moo.", "Moo.", "Moo."]
    async with opened(home) as person:
        await asked(person)
        await person.press("r")
        await person.sees("← 2 of 2 →")
        await person.kept()
        await person.press("a")
        await person.sees("builtin   ▲ good   ← 2 of 2 →")
        await person.press("ctrl+n")
        await person.sees("A new conversation.")
        await asked(person)
        assert "▲ good" not in person.screen()
        await person.press("x")
        await person.sees("builtin   ▼ bad")
        await person.press("u")
        await person.sees("Undone: ▼ bad.")
