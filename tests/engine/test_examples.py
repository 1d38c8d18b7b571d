"""Examples as plain data: their JSON, their identity, and the prompts in them."""

import pytest

from engine.examples import (
    KINDS,
    Demonstration,
    Example,
    Message,
    Pair,
    Prompt,
    Rated,
    digest,
    from_json,
    kind_of,
    prompt_of,
    to_json,
)

ASKED = (Message("system", "Be brief."), Message("user", "Why?"))
TOOLS = '[{"name": "f"}]'
EVERY: list[tuple[Example, Prompt]] = [
    (Demonstration((*ASKED, Message("assistant", "So.")), TOOLS), Prompt(ASKED, TOOLS)),
    (
        Demonstration((*ASKED, Message("assistant", "a"), *ASKED, Message("assistant", "b"))),
        Prompt((*ASKED, Message("assistant", "a"), *ASKED)),
    ),
    (Pair(ASKED, "yes", "no", margin=0.5), Prompt(ASKED)),
    (Pair((), "yes", "no"), Prompt(())),
    (Rated(ASKED, "yes", False), Prompt(ASKED)),
    (Prompt(ASKED, TOOLS), Prompt(ASKED, TOOLS)),
]


@pytest.mark.parametrize("example", [example for example, _ in EVERY])
def test_json_gives_the_same_example_back(example: Example) -> None:
    assert from_json(to_json(example)) == example
    assert isinstance(example, KINDS[kind_of(example)])


def test_no_two_of_them_are_the_same() -> None:
    assert len({digest(to_json(example)) for example, _ in EVERY}) == len(EVERY)


@pytest.mark.parametrize(("example", "prompt"), EVERY)
def test_what_was_asked(example: Example, prompt: Prompt) -> None:
    assert prompt_of(example) == prompt
