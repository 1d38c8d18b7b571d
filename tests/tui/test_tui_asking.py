"""How a conversation asks: decoding, system prompt, examples, and what fits into the context."""

from dataclasses import replace

import pytest
from person import opened
from scripted_server import ScriptedServer

from engine.examples import Message, Pair
from tuner_app import settings
from tuner_app.client import Use
from tuner_app.conversing import asking
from tuner_app.paths import Home
from tuner_app.settings import Decoding, Settings
from tuner_app.store import Store, chats, examples, labels
from tuner_app.store.asked import Asked, Prompt


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ""),
        ({"temperature": 0.0}, "greedy"),
        ({"temperature": 0.0, "top_p": 0.5, "seed": 7}, "greedy · seed 7"),
        ({"temperature": 1.2, "min_p": 0.05}, "T 1.2 · min-p 0.05"),
        ({"top_k": 40, "repetition_penalty": 1.1}, "top-k 40 · repetition 1.1"),
        ({"beams": 4, "temperature": 0.0, "max_tokens": 64}, "4 beams · at most 64 tokens"),
    ],
)
def test_a_way_of_decoding_in_words(values: dict[str, float], words: str) -> None:
    assert asking.in_words(replace(Decoding(), **values), Settings()) == words


class Counter:
    """A client that counts words as tokens."""

    def __init__(self, context: int) -> None:
        self.context, self.asked = context, 0

    async def count(self, messages: list[dict[str, str]], *, model: str) -> Use | None:
        self.asked += 1
        words = sum(len(message["content"].split()) for message in messages)
        return Use(words, self.context) if self.context else None


def prompt_of(turns: int) -> Prompt:
    """A system prompt of 2 words and `turns` of 5, questions and answers by turns, a question last."""
    roles = ["user", "assistant"] * turns
    said = tuple(Message(role, f"turn {n} of five words") for n, role in enumerate(roles[:turns]))  # type: ignore[arg-type]
    return Prompt(Asked("Be brief."), (Message("system", "Be brief."),), said)


@pytest.mark.parametrize(
    ("context", "longest", "left_out"),
    [
        (0, 10, 0),  # nobody counts
        (65, 8, 0),  # 57 words and 8 for the answer
        (64, 8, 2),  # the first question goes with its answer
        (40, 8, 6),  # 27 left, and 8
        (40, 1000, 8),  # however long an answer may be, half of the context is for the conversation
        (10, 5, 10),  # the last is sent, whether it fits or not
    ],
)
async def test_the_oldest_messages_make_room(context: int, longest: int, left_out: int) -> None:
    by = Settings(decoding=Decoding(max_tokens=longest))
    counter = Counter(context)
    fit = await asking.fitted(counter, prompt_of(11), by)  # type: ignore[arg-type]
    assert fit.prompt.asked.left_out == left_out
    assert fit.prompt.messages[0] == Message("system", "Be brief.")
    assert fit.prompt.messages[1].role == "user"
    assert counter.asked <= 5
    assert (fit.tokens, fit.context) == ((2 + 5 * (11 - left_out), context) if context else (0, 0))


async def test_the_panel_changes_how_this_conversation_asks(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    async with opened(home) as person:
        await person.press("f3")  # before there is a conversation
        await person.sees(
            "how this chat asks", "as the settings", "min p", "tab next field", "esc back (saved)"
        )
        await person.type("Be brief.")
        await person.press("tab", "enter", "down", "down", "down", "down", "enter")
        await person.sees("creative", "1.2", "≠ 0.7 in the settings")
        await person.press("tab", "end", "backspace", "x")
        await person.sees("✗")
        await person.press("backspace", "5")
        await person.sees("1.5", "as below")
        await person.press("escape")
        await person.sees("T 1.5 · min-p 0.05 · system prompt")
        await person.ask("Hello there", "ok")
        (conversation,) = chats.conversations(store)
        assert (conversation.title, conversation.system) == ("Hello there", "Be brief.")
        assert conversation.decoding == {"temperature": 1.5, "min_p": 0.05}
        answer = chats.path(store, conversation.id)[-1]
        assert answer.decoding["asked"] == {"system": "Be brief."}
        assert answer.decoding["temperature"] == 1.5
        await person.press("tab", "a")
        await person.sees("▲ good")
        (item,) = labels.items(
            store, [event.item_hash for event in labels.on_messages(store, [answer.id])[answer.id]]
        )
        assert item.prompt == (Message("system", "Be brief."), Message("user", "Hello there"))
        await person.press("ctrl+n")
        await person.sees("A new conversation")
        assert "T 1.5" not in person.screen()
        await person.ask("Again", "ok")
    first, second = server.requests
    assert first["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (first["temperature"], first["min_p"]) == (1.5, 0.05)
    assert (second["temperature"], "min_p" in second, len(second["messages"])) == (0.7, False, 1)


async def test_a_fixed_seed_and_the_settings_of_every_chat(home: Home, server: ScriptedServer) -> None:
    async with opened(home, (100, 40)) as person:
        await person.press("f3", "shift+tab")
        await person.press("end", "backspace", "backspace", "7")
        await person.sees("≠ -1 in the settings")
        await person.press("f5")
        await person.sees("Every chat is decoded so now")
        await person.until(lambda: "≠" not in person.screen())
        await person.press("escape")
        await person.ask("one", "ok")
        await person.press("ctrl+n")
        await person.ask("two", "ok")
    assert [request["seed"] for request in server.requests] == [7, 7]
    assert settings.load(home).decoding.seed == 7


async def test_the_context_in_use_and_what_falls_out_of_it(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    settings.save(home, replace(settings.load(home), decoding=Decoding(max_tokens=6)))
    server.context = 20
    server.answers = ["five words for you now", "and five words once more"]
    async with opened(home) as person:
        await person.ask("these are five words too", "for you now")
        await person.sees("10/20 tokens")
        await person.ask("these are five words more", "once more")
        await person.sees("The first 2 messages do not fit any more and were not sent.")
        await person.sees("10/20 tokens, the first 2 messages do not fit")
    assert [len(request["messages"]) for request in server.requests] == [1, 1]
    (conversation,) = chats.conversations(store)
    assert chats.path(store, conversation.id)[-1].decoding["asked"] == {"left_out": 2}


async def test_a_server_that_counts_only_afterwards_and_one_that_refuses(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.usage = 31
    server.answers = ["fine", ValueError("400 tokens are too many.")]
    async with opened(home) as person:
        await person.ask("hi", "fine")
        await person.sees("31 tokens")
        await person.type("more")
        await person.press("enter")
        await person.sees("400 tokens are too many.", "Your prompt is kept")
        assert "31 tokens" not in person.screen(), "one more message is not counted"
        await person.press("enter")
        await person.sees("31 tokens")
        await person.press("ctrl+n")
        await person.until(lambda: "31 tokens" not in person.screen())


async def test_a_second_answer_is_asked_as_the_first_was(
    home: Home, server: ScriptedServer, store: Store
) -> None:
    server.answers = ["one", "two"]
    async with opened(home) as person:
        await person.press("f3")
        await person.type("Be brief.")
        await person.press("escape")
        await person.ask("hi", "one")
        await person.press("f3")
        await person.type("Now long. ")
        await person.press("escape", "tab")
        await person.second()
        await person.press("1")
        await person.sees("Fed 1 pair")
    assert server.requests[1]["messages"] == server.requests[0]["messages"]
    (conversation,) = chats.conversations(store)
    assert conversation.system == "Now long. Be brief."
    (pair,) = examples.listed(store, "pair")
    assert isinstance(pair.example, Pair)
    assert pair.example.prompt == (Message("system", "Be brief."), Message("user", "hi"))
