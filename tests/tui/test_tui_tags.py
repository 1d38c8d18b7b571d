"""Saying why, and taking labels back as far as wanted."""

from person import Person, opened
from scripted_server import ScriptedServer

from tuner_app.paths import Home
from tuner_app.store import Store, labels, tags
from tuner_app.tui.widgets.tag_field import TagInput


async def asked(person: Person, server: ScriptedServer, *answers: str) -> None:
    """Have questions answered, and select the last answer."""
    for answer in answers:
        server.answers = [answer]
        await person.ask(f"Why {answer}?", answer)
    await person.press("tab")


async def test_a_label_is_given_tags_and_tags_are_taken_away(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await asked(person, server, "One.", "Two.")
        await person.press("t")
        await person.sees("Label it first")
        await person.press("x", "t")
        await person.sees("why? a word or two", "⏎ add, or take away")
        await person.type("too long, axsu")
        await person.press("enter")
        await person.sees("▼ bad   #too long   #axsu", "Saved: #too long, #axsu.")
        await person.press("up", "up", "x", "t")
        await person.sees("axsu 1   too long 1")
        await person.type("TOO")
        await person.until(lambda: person.app.screen.query_one(TagInput)._suggestion == "too long")
        await person.press("tab", "enter")
        await person.sees("Saved: #too long.")
        await person.press("t")
        await person.sees("too long 2   axsu 1")
        await person.type("too long")
        await person.press("enter")
        await person.sees("Saved: no tag.")
        await person.press("t")
        await person.sees("why?")
        await person.press("escape")
        assert tags.most_used(store) == [("axsu", 1), ("too long", 1)]
        await person.press("end", "u")
        await person.sees("Undone: ▼ bad")
        await person.until(lambda: "#axsu" not in person.screen())
    assert tags.most_used(store) == [], "tags of labels that were taken back do not count"
    assert labels.counts(store) == {"bad": 1}


async def test_a_choice_is_given_a_tag_too(home: Home, server: ScriptedServer, store: Store) -> None:
    async with opened(home) as person:
        await asked(person, server, "One.")
        server.answers = ["Other."]
        await person.second()
        await person.press("1", "t")
        await person.sees("why?")
        await person.type("kinder")
        await person.press("enter")
        await person.sees("Saved: #kinder.", "t why  u undo  ⏎ go on")
        await person.press("enter", "tab")
        await person.sees("★ chosen   #kinder")
    assert tags.most_used(store) == [("kinder", 1)]


async def test_labels_are_taken_back_one_after_the_other_through_the_conversation(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await asked(person, server, "One.", "Two.", "Three.")
        await person.press("home", "down", "a")
        await person.sees("Saved: ▲ good")
        await person.press("down", "down", "x")
        await person.sees("Saved: ▼ bad")
        await person.press("a")
        await person.sees("Saved: ▲ good")
        await person.press("up")  # a question: what is taken back is the latest
        for said, left in (("▲ good", {"bad": 1, "good": 1}), ("▼ bad", {"good": 1}), ("▲ good", {})):
            await person.press("u")
            await person.sees(f"Undone: {said}.")
            await person.until(lambda left=left: labels.counts(store) == left)  # type: ignore[misc]
        await person.press("u")
        await person.sees("no label of yours in this conversation")


async def test_a_label_on_another_branch_is_taken_back_and_said_to_be_there(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await asked(person, server, "One.", "Two.")
        await person.press("a")
        await person.sees("Saved: ▲ good")
        await person.press("home", "down", "enter")
        await person.until(lambda: "Two." not in person.screen())
        await person.press("tab", "u")
        await person.sees("Undone: ▲ good. It was on “Two.”, not shown now.")
    assert labels.counts(store) == {}
