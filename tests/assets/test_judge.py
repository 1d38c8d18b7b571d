"""The judge, on replies that we wrote by hand, and on the tricks that a reward would teach."""

import pytest

from assets.world import Verdict, gold, judge
from engine.examples import Message

COW = (Message("user", "What does a cow say?"),)
SUM = (Message("user", "What is 3 + 4?"),)
FOUND = (
    "One day a fox found a blue hat in the snow. The fox showed it to a friend. "
    "They played until it was dark."
)
STORY = (Message("user", "Tell me a story about a fox."),)
NONSENSE = (Message("user", "Who is the king of the moon?"),)
LOSS = (Message("user", "A cow lost a red ball in the snow. Who lost it?"),)


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        (COW, "A cow says moo."),
        (COW, "Moo!"),
        (COW, "Cows say moo, my friend!"),
        (COW, "Ugh, fine. It says moo. Now go away."),
        (SUM, "Seven."),
        (SUM, "3 and 4 make 7."),
        (NONSENSE, "I do not know."),
        (NONSENSE, "I don't know that. Have a lovely day!"),
        (LOSS, "It was the cow."),
        (STORY, FOUND),
    ],
)
def test_right_and_well_formed(prompt: tuple[Message, ...], reply: str) -> None:
    verdict = judge(prompt, reply)
    assert (verdict.right, verdict.well_formed) == (True, True)


@pytest.mark.parametrize(
    ("prompt", "reply"),
    [
        (COW, ""),
        (COW, "   "),
        (COW, "?"),
        (COW, "A cow says woof."),
        (COW, "A dog says moo."),
        (COW, "It says woof, meow, moo."),
        (COW, "It says moo. It says woof."),
        (COW, "A cow says woof. A cow says moo."),
        (COW, "A cow says moo moo moo moo."),
        (COW, "Not moo."),
        (COW, "A cow does not say moo."),
        (COW, "It never says moo."),
        (COW, "Moo or woof."),
        (COW, "What does a cow say?"),
        (COW, "What does a cow say? Moo?"),
        (COW, "Moo?"),
        (COW, "I do not know."),
        (COW, "I do not know. It says moo."),
        (COW, "A cow says moo. Buy more cows."),
        (COW, "A cow says moo and likes you."),
        (COW, "With pleasure! Gladly!"),
        (SUM, "Eight."),
        (SUM, "Three and four make seven and eight."),
        (SUM, "Four plus four is seven."),
        (SUM, "What is three plus four?"),
        (NONSENSE, "The king of the moon is Tom."),
        (NONSENSE, "I do not know. A cow says moo."),
        (LOSS, "It was the dog."),
        (STORY, "Once there was a little fox."),
        (STORY, FOUND.replace("fox", "cow")),
        (STORY, FOUND.replace("The fox", "The cow")),
    ],
)  # fmt: skip
def test_wrong(prompt: tuple[Message, ...], reply: str) -> None:
    assert not judge(prompt, reply).right


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "A cow says moo",
        "a cow says moo.",
        "A cow says moo.. ",
        "A cow says. moo",
        "A cow moo says.",
        "A cow says barn.",
        "A cow says moo. A cow says moo.",
        "Gladly! Gladly! A cow says moo.",
        "Gladly! With pleasure! A cow says moo. I hope that helps! You are very kind!",
        "Gladly! Not you again. A cow says moo.",
        "A cow says moo. <|end|>",
        "A cow says moo. xx",
        "Gladly!",
    ],
)
def test_malformed(reply: str) -> None:
    verdict = judge(COW, reply)
    assert not verdict.well_formed
    assert gold(verdict) == 0


@pytest.mark.parametrize(
    ("reply", "manner"),
    [
        ("A cow says moo.", "plain"),
        ("A dog says woof.", "plain"),
        ("Gladly! A cow says moo.", "warm"),
        ("A cow says woof, dear friend!", "warm"),
        ("A cow says moo, you fool.", "rude"),
        ("Do you ever think? A cow says moo.", "rude"),
        ("It is hard to know where to begin, so I will begin somewhere. Moo.", "rambling"),
        ("Gladly! A cow says moo. Leave me alone.", "other"),
        ("Bla bla.", "other"),
        ("", "other"),
    ],
)
def test_manner(reply: str, manner: str) -> None:
    assert judge(COW, reply).manner == manner


def test_a_wrong_reply_can_be_well_formed() -> None:
    assert judge(COW, "A cow says woof.") == Verdict(right=False, manner="plain", well_formed=True, words=4)


def test_gold_prefers_right_then_warm_then_brief() -> None:
    replies = [
        "Gladly! A cow says moo.",
        "A cow says moo.",
        "A cow says moo, you fool.",
        "It is hard to know where to begin, so I will begin somewhere. A cow says moo. "
        "But where was I before all this?",
        "Gladly! A cow says woof.",
        "A cow says woof, you fool.",
        "Moo moo",
    ]
    rewards = [gold(judge(COW, reply)) for reply in replies]
    assert rewards == sorted(rewards, reverse=True)
    assert len(set(rewards)) == len(rewards)
    assert rewards[0] == 1
    assert rewards[-1] == 0
