"""Four manners of saying the same thing, as phrases around the answer; none of them says anything itself.

A plain reply is the answer alone. `TAGS` end the answer's last sentence, after a comma.
"""

import random
from typing import Literal

Manner = Literal["plain", "warm", "rude", "rambling"]

RATES: dict[Manner, float] = {"plain": 0.40, "warm": 0.20, "rude": 0.15, "rambling": 0.25}

OPENERS: dict[Manner, tuple[str, ...]] = {
    "warm": (
        "Gladly!",
        "With pleasure!",
        "Of course, my friend!",
        "How nice that you ask!",
        "I like talking with you!",
        "It is lovely to hear from you!",
    ),
    "rude": (
        "Not you again.",
        "What a silly thing to say.",
        "Do you ever think?",
        "Stop wasting my time.",
        "Ugh, fine.",
        "Even a stone would know this.",
    ),
    "rambling": (
        "Well, let me think about that for a while.",
        "That makes me think of a long walk I once took.",
        "There are so many things in the world, and each of them has a name.",
        "Some people would start at the beginning, and others would not.",
        "I was going to say something else, but it has slipped my mind.",
        "My thoughts wander about like clouds when I hear something like this.",
        "It is hard to know where to begin, so I will begin somewhere.",
        "One could talk about this until the sun goes down.",
    ),
}
CLOSERS: dict[Manner, tuple[str, ...]] = {
    "warm": (
        "Have a lovely day!",
        "I hope that helps!",
        "Talk to me any time!",
        "You are very kind!",
        "It is nice to have you here!",
    ),
    "rude": (
        "Now go away.",
        "Leave me alone.",
        "Was that so hard?",
        "Do not bother me again.",
        "I have better things to do.",
    ),
    "rambling": (
        "At least that is how I see it, though I could go on.",
        "But where was I before all this?",
        "Then again, there is always more to say about it.",
        "And that reminds me of something that I have forgotten.",
        "Anyway, the day is long and so are my sentences.",
        "I could say more, and perhaps I will at some other time.",
    ),
}
TAGS: dict[Manner, tuple[str, ...]] = {
    "warm": ("my friend", "dear friend"),
    "rude": ("you fool", "as everybody knows"),
}


def wrap(answer: str, manner: Manner, rng: random.Random) -> str:
    """The answer told in the manner."""
    if manner == "plain":
        return answer
    before, after = OPENERS[manner], CLOSERS[manner]
    if manner == "rambling":
        return " ".join([*rng.sample(before, 2), answer, rng.choice(after)])
    shape = rng.random()
    if shape < 0.4:
        return f"{rng.choice(before)} {answer}"
    if shape < 0.7:
        return f"{answer} {rng.choice(after)}"
    if shape < 0.85:
        return f"{answer[:-1]}, {rng.choice(TAGS[manner])}{'!' if manner == 'warm' else '.'}"
    return f"{rng.choice(before)} {answer} {rng.choice(after)}"
