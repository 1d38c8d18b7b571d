"""The labelling queue: every key, what it records, and what happens when it cannot be saved."""

from pathlib import Path
from typing import Any

import pytest
from person import Person, opened
from scripted_server import ScriptedServer

from engine.errors import UserError
from engine.examples import Demonstration, Message, Pair, Rated
from tuner_app import settings
from tuner_app.paths import Home
from tuner_app.store import Store, batches, examples, labels, tags
from tuner_app.store.rows import Asked, Batch, LabelEvent, Maker, Reply
from tuner_app.tui.screens.label import LabelScreen

HOSTILE = "[bold]x[/] [@click=app.quit]y[/] \x1b[31mred\x1b]0;title\x07 \u202egnp.exe 你好 é́"


def pair(number: int) -> Asked:
    prompt = (Message("user", f"Question {number}?"),)
    return Asked(prompt, (Reply(f"good {number}", "builtin"), Reply(f"poor {number}", "builtin", "dpo-1")))


def single(number: int) -> Asked:
    return Asked((Message("user", f"Question {number}?"),), (Reply(f"said {number}", "builtin", "sft-1"),))


def make(store: Store, asked: list[Asked], kind: Any = "pair") -> Batch:
    return batches.make(store, asked, name="mine", kind=kind, uid="mine")


def events(store: Store) -> list[LabelEvent]:
    """All that was recorded, in order."""
    rows = store.query("SELECT hash FROM items")
    found = [event for row in rows for event in labels.history(store, row["hash"])]
    return sorted(found, key=lambda event: event.created)


def order(person: Person) -> tuple[int, ...]:
    """The replies' indices in the order of the screen."""
    screen = person.app.screen
    assert isinstance(screen, LabelScreen)
    assert screen.queue.current
    return screen.queue.current.order


async def labelling(person: Person, *seen: str) -> None:
    await person.press("ctrl+g")
    await person.sees("mine")
    await person.press("enter")
    await person.sees(*(seen or ("Question 0?",)))


async def test_every_key_of_a_pair(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(9)])
    async with opened(home) as person:
        await labelling(person, "0/9 judged", "9 ready", "Question 0?", "good 0", "poor 0")
        assert "dpo-1" not in person.screen(), "blind until the choice"
        chosen, shown = [], []
        for number, (key, place) in enumerate({"1": 0, "2": 1, "f": 0, "j": 1}.items()):
            shown.append(order(person))
            chosen.append(shown[-1][place])
            await person.press(key)
            await person.sees(
                f"Question {number + 1}?", f"{place + 1} is better: 1 was", "Fed 1 pair, 2 thumbs"
            )
            name = "builtin" if shown[-1][0] == 0 else "dpo-1"
            await person.sees(f"1 was {name}")
        for key, said in {"0": "A tie", "b": "Both bad", "space": "Skipped"}.items():
            await person.press(key)
            await person.sees(f"{said}: 1 was")
        await person.sees("Question 7?", "7/9 judged")
        await person.press("a", "x")  # which are for single answers
    recorded = events(store)
    assert [event.verb for event in recorded] == ["choose"] * 4 + ["tie", "both_bad", "skip"]
    assert [event.value["reply"] for event in recorded[:4]] == chosen
    assert [event.shown for event in recorded[:4]] == shown
    fed = {row.example for row in examples.listed(store, "pair")}
    ask = (Message("user", "Question 0?"),)
    assert Pair(ask, *(("good 0", "poor 0") if chosen[0] == 0 else ("poor 0", "good 0"))) in fed


async def test_every_key_of_a_single_answer(home: Home, store: Store) -> None:
    make(store, [single(n) for n in range(4)], "single")
    async with opened(home) as person:
        await labelling(person, "Question 0?", "said 0", "Is it good?")
        assert "sft-1" not in person.screen()
        await person.press("a")
        await person.sees("Good: sft-1. Fed 1 thumb.", "said 1")
        await person.press("1", "2", "0", "b", "x")  # the first four are for pairs
        await person.sees("Bad: sft-1.", "said 2", "2/4 judged")
        await person.press("e")
        await person.sees("Ctrl+S saves")
        await person.type("!ax")
        await person.press("ctrl+s")
        await person.sees("Corrected: sft-1. Fed 1 SFT row, 1 pair, 2 thumbs", "said 3")
        await person.press("space")
        await person.sees("4 judged: this batch is done.", "4/4 judged")
    assert [event.verb for event in events(store)] == ["good", "bad", "correct", "skip"]
    prompt = (Message("user", "Question 2?"),)
    (shown,) = examples.listed(store, "demonstration")
    assert shown.example == Demonstration((*prompt, Message("assistant", "said 2!ax")))
    assert Rated((Message("user", "Question 0?"),), "said 0", True) in {
        row.example for row in examples.listed(store, "rated")
    }


@pytest.mark.parametrize("mark", [(), ("right",), ("right", "left")])
async def test_correcting_the_one_that_is_marked(home: Home, store: Store, mark: tuple[str, ...]) -> None:
    make(store, [pair(0), pair(1)])
    async with opened(home) as person:
        await labelling(person)
        place = int(mark[-1:] == ("right",))
        index = order(person)[place]
        await person.press(*mark, "e")
        await person.sees(f"▶ {place + 1}", "Ctrl+S saves")
        await person.type("zz")
        await person.press("escape")
        await person.sees("✎ draft: e goes on with the correction")
        assert "zz" not in person.screen()
        await person.press("e", "!", "ctrl+s")
        await person.sees("Corrected: 1 was", "Question 1?")
    (event,) = events(store)
    assert event.value == {"reply": index, "text": f"{'good' if index == 0 else 'poor'} 0zz!"}


async def test_undo_goes_back_over_restarts(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(3)])
    async with opened(home) as person:
        await labelling(person)
        await person.press("u")
        await person.sees("no label of yours in this batch")
        await person.press("0")
        await person.sees("Question 1?")
        await person.press("b")
        await person.sees("Question 2?")
    async with opened(home) as person:
        await labelling(person, "Question 2?", "2/3 judged", "2 today")
        await person.press("u")
        await person.sees("Taken back.", "Question 1?", "1/3 judged")
        await person.press("u")
        await person.sees("Question 0?", "0/3 judged")
        for number in (1, 2):
            await person.press("0")
            await person.sees(f"Question {number}?")
        await person.press("0")
        await person.sees("this batch is done")
    assert [event.verb for event in events(store)] == ["tie", "both_bad", "undo", "undo", *["tie"] * 3]


async def test_what_is_taken_back_is_shown_as_it_was(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(12)])
    async with opened(home) as person:
        await labelling(person)
        orders = []
        for number in range(12):
            await person.sees(f"Question {number}?")
            orders.append(order(person))
            await person.press("1")
        await person.sees("this batch is done")
        for number in reversed(range(12)):
            await person.press("u")
            await person.sees(f"Question {number}?")
            assert order(person) == orders[number]


async def test_a_label_that_cannot_be_saved_stays(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, [pair(0), pair(1)])
    record, uids = labels.record, []

    def full(*args: Any, **rest: Any) -> LabelEvent:
        uids.append(rest["uid"])
        if len(uids) == 1:
            raise UserError("The disk is full.", do="Free some space.")
        return record(*args, **rest)

    monkeypatch.setattr(labels, "record", full)
    async with opened(home, (100, 30)) as person:
        await labelling(person)
        await person.press("1")
        await person.sees("NOT saved", "not saved: The disk is full.", "Free some space.", "Question 0?")
        assert events(store) == []
        await person.press("ctrl+s")
        await person.sees("1 is better", "Question 1?")
        await person.until(lambda: "disk" not in person.screen(), lambda: "the notice to go")
    assert uids[0] == uids[1] == events(store)[0].uid


async def test_another_window_was_first(home: Home, store: Store) -> None:
    batch = make(store, [pair(0), pair(1)])
    async with opened(home) as person:
        await labelling(person)
        first, *_ = batches.waiting(store, batch.id)
        event = batches.judge(store, first, "tie", uid="there")
        await person.press("1")
        await person.sees("judged in another window", "Question 1?")
    assert events(store) == [event]


async def test_answers_are_written_while_the_person_judges(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    asked = [Asked((Message("user", f"Question {n}?"),)) for n in range(3)]
    by = [Maker("builtin", ""), Maker("builtin", "dpo-1")]
    batches.make(store, asked, name="mine", kind="pair", makers=by, decoding={"max_tokens": 9}, uid="u")
    server.answers = [f"answer {n}" for n in range(6)]
    server.gate.clear()
    async with opened(home) as person:
        await labelling(person, "are being written", "writing 3")
        assert "1/f first" not in person.screen()
        server.gate.set()
        await person.sees("Question", "answer", "Which is better?", "3 ready", "1/f first")
        assert {request["model"] for request in server.requests} == {"base", "dpo-1"}
        assert {request["max_tokens"] for request in server.requests} == {9}
        for number in (1, 2, 3):
            await person.press("1")
            await person.sees(f"{number}/3 judged")
        await person.sees("3 judged: this batch is done.")
        await person.until(lambda: "1/f first" not in person.screen())
    replies = {
        reply.adapter for event in events(store) for reply in labels.item(store, event.item_hash).replies
    }
    assert replies == {"", "dpo-1"}


async def test_what_cannot_be_answered_is_told_and_tried_again(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    asked = [Asked((Message("user", "Question 0?"),))]
    batches.make(store, asked, name="mine", kind="pair", makers=[Maker("builtin")], uid="u")
    server.answers = [ConnectionError(), ConnectionError()]
    async with opened(home) as person:
        await labelling(person, "broke off", "R tries again")
        server.answers = ["same"] * 5
        await person.press("r")
        await person.sees("1 without answers")
        assert batches.failures(store, 1) == {"the answers were the same, word for word": 1}
        server.answers = ["one", "two"]
        await person.press("r")
        await person.sees("Question 0?", "one", "two", "1 ready")


async def test_differences_and_the_layout(home: Home, store: Store) -> None:
    prompt = (Message("user", "Question 0?"),)
    long = "\n".join(f"line {n}" for n in range(60))
    make(store, [Asked(prompt, (Reply("a cow eats grass\n" + long), Reply("a cow eats bread\n" + long)))])
    for size, together in (((80, 24), False), ((120, 40), True)):
        async with opened(home, size) as person:
            await labelling(person)
            line = next(text for text in person.screen().splitlines() if "a cow eats" in text)
            assert ("eats grass" in line and "eats bread" in line) == together
            plain = underlined(person)
            await person.press("d")
            await person.until(lambda: bool({"grass", "bread"} & underlined(person)))
            assert len(underlined(person) - plain) == (2 if together else 1)
            await person.press("end")
            await person.sees("line 59")
            assert "Question 0?" not in person.screen()
            await person.press("home")
            await person.sees("Question 0?")
            await person.press("pagedown", "down", "up", "pageup", "d")
            await person.until(lambda: not {"grass", "bread"} & underlined(person))


def underlined(person: Person) -> set[str]:
    strips = person.app.screen._compositor.render_strips()
    return {seg.text.strip() for strip in strips for seg in strip if seg.style and seg.style.underline}


async def test_saying_why(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(3)])
    async with opened(home) as person:
        await labelling(person)
        await person.press("t")
        await person.sees("Give a label first")
        await person.press("1")
        await person.sees("Question 1?")
        await person.press("t")
        await person.sees("why? a word or two")
        await person.type("too long, 12")
        await person.press("enter")
        await person.sees("The last label: #too long #12.", "1/3 judged")
        await person.press("2")
        await person.sees("Question 2?")
        await person.press("t")
        await person.sees("too long 1")
        await person.press("escape", "0")
        await person.sees("3/3 judged")
    first, *others = events(store)
    assert tags.of_labels(store, [first.uid]) == {first.uid: ("too long", "12")}
    assert tags.of_labels(store, [event.uid for event in others]) == {}


async def test_a_goal_and_other_keys(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(3)])
    kept = settings.load(home)
    settings.save(home, settings.Settings(**{**vars(kept), "keys": {"tie": "t"}}))
    async with opened(home) as person:
        await labelling(person)
        await person.press("g")
        await person.type("20")
        await person.press("enter")
        await person.sees("today 0/20")
        await person.press("0")
        await person.press("t")
        await person.sees("A tie", "today 1/20", "Question 1?")
    assert settings.load(home).goal == 20
    assert [event.verb for event in events(store)] == ["tie"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_hostile_text_is_shown_as_text(home: Home, store: Store, size: tuple[int, int]) -> None:
    prompt = (Message("system", HOSTILE), Message("user", HOSTILE))
    make(store, [Asked(prompt, (Reply(HOSTILE + "a"), Reply("x" * 1_000_000)))])
    async with opened(home, size) as person:
        await labelling(person, "[bold]x[/] [@click=app.quit]y[/] ␛[31mred␛]0;title␇ ⟨U+202E⟩gnp.exe")
        assert "\x1b" not in person.screen()
        await person.press("end")
        await person.sees("950,000 more characters")
        await person.press("1")
        await person.sees("this batch is done")
    (event,) = events(store)
    assert labels.item(store, event.item_hash).prompt[1].content == HOSTILE


async def test_keys_pressed_before_the_next_item_do_nothing_to_it(home: Home, store: Store) -> None:
    make(store, [pair(n) for n in range(3)])
    async with opened(home) as person:
        await labelling(person)
        screen = person.app.screen
        assert isinstance(screen, LabelScreen)
        screen.action_choose(0)
        screen.action_choose(0)  # as when a key repeats
        await person.sees("Question 1?", "1/3 judged")
    assert len(events(store)) == 1


async def test_a_second_window_takes_over_the_answers(home: Home, store: Store, tmp_path: Path) -> None:
    from tuner_app.workers import locks

    asked = [Asked((Message("user", "Question 0?"),))]
    batches.make(store, asked, name="mine", kind="single", makers=[Maker("builtin")], uid="u")
    other = locks.hold(home.workers / "batch-u.lock")
    assert other
    async with opened(home) as person:
        await labelling(person, "are being written")
        batches.answer(store, 1, 0, [Reply("theirs", "builtin")])
        await person.sees("theirs", "Is it good?")
        other.close()
