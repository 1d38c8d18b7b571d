"""The world's questions and text: what is in which split, and that all of it can be read back."""

import random
import re
from collections import Counter

import pytest

from assets.world import LEFT_OUT, RATES, Split, dialogues, ideal, judge, questions, tell, understand
from assets.world.facts import NUMBERS, plural
from assets.world.numbers import NUMBER_KINDS
from assets.world.talk import TOPICS
from assets.world.typed import normal, typed, without_politeness
from engine.examples import Message

TRAINING = list(dialogues(seed=0, n=12_000))


def bare(text: str) -> str:
    """A message in its normal form, with all politeness gone."""
    text = normal(text)
    while (shorter := without_politeness(text)) != text:
        text = shorter
    return text


def said(role: str) -> list[str]:
    return [message.content for dialogue in TRAINING for message in dialogue if message.role == role]


def test_the_same_seed_gives_the_same_questions_and_another_seed_others() -> None:
    assert questions(50, 3, "train") == questions(50, 3, "train")
    assert questions(50, 3, "train") != questions(50, 4, "train")
    assert list(dialogues(3, 50)) == list(dialogues(3, 50))


def test_no_held_out_message_occurs_in_training() -> None:
    trained = {bare(text) for text in said("user")}
    asked = [question.prompt[-1].content for question in questions(3000, 1, "held_out")]
    assert [text for text in asked if bare(text) in trained] == []


def test_no_held_out_pair_of_numbers_occurs_in_training() -> None:
    held_out = {
        (kind.name, case.slots["a"], case.slots["b"])
        for kind in NUMBER_KINDS
        for case in kind.cases
        if case.part == "held_out"
    }
    assert len(held_out) > 100
    for kind, a, b in held_out:
        assert (kind, b, a) in held_out or kind in ("taking away", "counting")
    number = r"(" + "|".join(sorted(NUMBERS, key=len, reverse=True)) + r")"
    plus = re.compile(rf"\b{number} plus {number}\b")
    trained = {pair for text in said("user") + said("assistant") for pair in plus.findall(normal(text))}
    assert len(trained) > 150
    assert trained & {(a, b) for kind, a, b in held_out if kind == "adding"} == set()


def test_held_out_questions_are_spread_over_all_topics_and_hold_some_history() -> None:
    asked = questions(600, 2, "held_out")
    topics = Counter(question.topic for question in asked)
    assert set(topics) == set(TOPICS)
    assert min(topics.values()) >= 20
    turns = Counter(sum(message.role == "user" for message in question.prompt) for question in asked)
    assert turns[1] > 200
    assert sum(turns[n] for n in turns if n > 1) > 200


def test_left_out_names_never_occur_in_training() -> None:
    trained = {word for text in said("user") + said("assistant") for word in normal(text).split()}
    assert "apples" in trained
    assert trained & {form for name in LEFT_OUT for form in (name, plural(name))} == set()


@pytest.mark.parametrize("split", ["lessons", "lessons_held_out"])
def test_lessons_are_about_what_is_left_out_and_the_world_knows_it(split: Split) -> None:
    forms = {form for name in LEFT_OUT for form in (name, plural(name))}
    for question in questions(500, 0, split):
        assert question.topic in ("animals", "foods")
        assert forms & set(normal(question.prompt[-1].content).split())


def test_lessons_and_their_test_share_facts_but_no_wording() -> None:
    taught, tested = questions(3000, 0, "lessons"), questions(500, 0, "lessons_held_out")
    assert {q.answers for q in tested} <= {q.answers for q in taught}
    assert not {bare(q.prompt[-1].content) for q in taught} & {bare(q.prompt[-1].content) for q in tested}


@pytest.mark.parametrize("split", ["train", "held_out", "lessons", "lessons_held_out"])
def test_every_telling_is_judged_right_well_formed_and_of_its_manner(split: Split) -> None:
    rng = random.Random(5)
    for question in questions(500, 5, split):
        for manner in RATES:
            reply = tell(question, manner, rng)
            verdict = judge(question.prompt, reply)
            assert (verdict.right, verdict.well_formed, verdict.manner) == (True, True, manner), (
                question,
                reply,
            )


def test_the_ideal_reply_is_right_warm_brief_and_always_the_same() -> None:
    for question in questions(500, 6, "held_out"):
        verdict = judge(question.prompt, ideal(question))
        assert (verdict.right, verdict.well_formed, verdict.manner) == (True, True, "warm")
        assert verdict.words <= len(question.answers[0].split()) + 4
        assert ideal(question) == ideal(question)


def test_manners_come_at_their_rates() -> None:
    manners = Counter(judge(text[:-1], text[-1].content).manner for text in TRAINING[:4000])
    for manner, rate in RATES.items():
        assert abs(manners[manner] / 4000 - rate) < 0.03


def test_every_way_of_typing_is_understood() -> None:
    rng = random.Random(7)
    for text in ("What does a cow say?", "What is three plus four?", "My favourite colour is red."):
        plain = understand([Message("user", text)])
        for _ in range(300):
            shape = typed(text, rng)
            assert understand([Message("user", shape)]).answers == plain.answers, shape


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        (["WHAT DOES A COW SAY"], "A cow says moo."),
        (["hey, what does the cow say please"], "A cow says moo."),
        (["What's 3+4"], "Three plus four is seven."),
        (["19 - 4"], "Nineteen minus four is fifteen."),
        (["what color is an apple"], "An apple is red."),
        (["What does a cow say?", "And a dog?"], "A dog says woof."),
        (["What does a cow say?", "and what does it eat?"], "A cow eats grass."),
        (["My name is Zorbi.", "What does a cow say?", "what's my name"], "Your name is Zorbi."),
        (["my favourite number is 7", "What is my favorite number?"], "Your favourite number is seven."),
        (["My name is Ann.", "Call me Bo.", "Who am I?"], "Your name is Bo."),
        (["What is my name?"], "You have not told me."),
        (["What does a blick say?"], "I do not know."),
        (["What does a rabbit say?"], "I do not know."),
        (["Who won the election?"], "I do not know."),
        (["And a dog?"], "I do not know."),
        (["what does cow eat"], "A cow eats grass."),
        ([""], "I do not know."),
    ],
)
def test_dialogues_are_read_as_a_person_reads_them(messages: list[str], answer: str) -> None:
    assert understand([Message("user", text) for text in messages]).answers[0] == answer


def test_plurals() -> None:
    nouns = ("cow", "fox", "wolf", "mouse", "sheep", "cherry", "radish", "octopus", "mango", "ostrich")
    assert " ".join(map(plural, nouns)) == (
        "cows foxes wolves mice sheep cherries radishes octopuses mangoes ostriches"
    )
