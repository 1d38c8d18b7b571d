"""Questions about animals, foods and colours."""

from collections.abc import Callable, Mapping

from assets.world.facts import (
    ANIMALS,
    COLOURS_OF_THINGS,
    FOODS,
    LEFT_OUT_ANIMALS,
    LEFT_OUT_FOODS,
    MIXES,
    Animal,
    Food,
    plural,
    with_article,
)
from assets.world.kinds import Case, Kind


def names_of(noun: str) -> dict[str, str]:
    """The slots that name one animal or food."""
    return {"one": noun, "a_one": with_article(noun), "many": plural(noun)}


def _animal_cases(answer: Callable[[Animal], str]) -> tuple[Case, ...]:
    known = [Case(names_of(a.name) | {"answer": answer(a)}) for a in ANIMALS if answer(a)]
    new = [Case(names_of(a.name) | {"answer": answer(a)}, "lessons") for a in LEFT_OUT_ANIMALS if answer(a)]
    return (*known, *new)


def _food_cases(answer: Callable[[Food], str]) -> tuple[Case, ...]:
    known = [Case(names_of(f.name) | {"answer": answer(f)}) for f in FOODS]
    new = [Case(names_of(f.name) | {"answer": answer(f)}, "lessons") for f in LEFT_OUT_FOODS]
    return (*known, *new)


def _baby_cases() -> tuple[Case, ...]:
    cases = _animal_cases(lambda a: a.baby)
    return tuple(Case(_with_article_of_answer(case.slots), case.part) for case in cases)


def _with_article_of_answer(slots: Mapping[str, str]) -> dict[str, str]:
    return {**slots, "an_answer": with_article(slots["answer"])}


ANIMAL_KINDS = (
    Kind(
        "animal sound",
        "animals",
        train=(
            "What does {a_one} say?",
            "What sound does {a_one} make?",
            "What noise does {a_one} make?",
            "What do {many} say?",
            "Which sound do {many} make?",
            "How does {a_one} go?",
            "Tell me the sound of {a_one}.",
            "Do you know what {a_one} says?",
            "What sound does the {one} make?",
        ),
        held_out=(
            "Tell me what {a_one} says.",
            "Which noise do {many} make?",
            "What is the sound of {a_one}?",
        ),
        it=(
            "What does it say?",
            "What noise does it make?",
            "Tell me what it says.",
            "What sound does it make?",
        ),
        tellings=("{a_one} says {answer}.", "{many} say {answer}.", "It says {answer}."),
        short=("{answer}.", "the {one} says {answer}.", "{a_one} goes {answer}.", "they say {answer}."),
        cases=_animal_cases(lambda a: a.sound),
    ),
    Kind(
        "animal legs",
        "animals",
        train=(
            "How many legs does {a_one} have?",
            "How many legs do {many} have?",
            "How many legs has {a_one}?",
            "Count the legs of {a_one}.",
            "What is the number of legs of {a_one}?",
            "Do you know how many legs {a_one} has?",
            "Tell me how many legs {many} have.",
            "How many legs does the {one} have?",
        ),
        held_out=(
            "Tell me how many legs {a_one} has.",
            "How many legs are there on {a_one}?",
            "Say how many legs {many} have.",
        ),
        it=("How many legs does it have?", "Tell me how many legs it has.", "How many legs has it?"),
        tellings=("{a_one} has {answer} legs.", "{many} have {answer} legs.", "It has {answer} legs."),
        short=("{answer}.", "{answer} legs.", "the {one} has {answer} legs.", "they have {answer} legs."),
        cases=_animal_cases(lambda a: a.legs),
    ),
    Kind(
        "animal home",
        "animals",
        train=(
            "Where does {a_one} live?",
            "Where do {many} live?",
            "Where is the home of {a_one}?",
            "Where can I find {a_one}?",
            "In what place does {a_one} live?",
            "Tell me where {many} live.",
            "Do you know where {a_one} lives?",
            "Where does the {one} live?",
        ),
        held_out=(
            "Tell me where {a_one} lives.",
            "Where can I find {many}?",
            "In what place do {many} live?",
        ),
        it=("Where does it live?", "Where can I find it?", "Tell me where it lives.", "Where is its home?"),
        tellings=("{a_one} lives {answer}.", "{many} live {answer}.", "It lives {answer}."),
        short=("{answer}.", "the {one} lives {answer}.", "they live {answer}."),
        cases=_animal_cases(lambda a: a.home),
    ),
    Kind(
        "animal food",
        "animals",
        train=(
            "What does {a_one} eat?",
            "What do {many} eat?",
            "What does {a_one} like to eat?",
            "What food does {a_one} eat?",
            "What is the food of {a_one}?",
            "What should I feed {a_one}?",
            "Tell me what {many} eat.",
            "Do you know what {a_one} eats?",
            "What does the {one} eat?",
        ),
        held_out=(
            "Tell me what {a_one} eats.",
            "What do {many} like to eat?",
            "What food does {a_one} like?",
        ),
        it=("What does it eat?", "Tell me what it eats.", "What does it like to eat?"),
        tellings=("{a_one} eats {answer}.", "{many} eat {answer}.", "It eats {answer}."),
        short=("{answer}.", "the {one} eats {answer}.", "they eat {answer}."),
        cases=_animal_cases(lambda a: a.food),
    ),
    Kind(
        "animal baby",
        "animals",
        train=(
            "What is a baby {one} called?",
            "What do you call a baby {one}?",
            "What is the young of {a_one} called?",
            "What is the name of a baby {one}?",
            "Tell me the name for a baby {one}.",
            "How do you call the young of {a_one}?",
            "Do you know what a baby {one} is called?",
        ),
        held_out=(
            "Tell me what a baby {one} is called.",
            "What do you call the young of {a_one}?",
            "What is the name for a baby {one}?",
        ),
        it=("What is its baby called?", "Tell me what its baby is called.", "What do you call its baby?"),
        tellings=(
            "A baby {one} is called {an_answer}.",
            "The young of {a_one} is {an_answer}.",
            "It is called {an_answer}.",
        ),
        short=("{answer}.", "{an_answer}.", "it is {an_answer}.", "a baby {one} is {an_answer}."),
        cases=_baby_cases(),
    ),
)

FOOD_KINDS = (
    Kind(
        "food colour",
        "foods",
        train=(
            "What colour is {a_one}?",
            "What colour are {many}?",
            "Which colour does {a_one} have?",
            "What is the colour of {a_one}?",
            "Tell me the colour of {many}.",
            "Do you know what colour {a_one} is?",
            "What colour is the {one}?",
        ),
        held_out=(
            "Tell me what colour {a_one} is.",
            "Which colour do {many} have?",
            "What is the colour of {many}?",
        ),
        it=("What colour is it?", "Tell me what colour it is.", "Which colour does it have?"),
        tellings=("{a_one} is {answer}.", "{many} are {answer}.", "It is {answer}."),
        short=("{answer}.", "the {one} is {answer}.", "they are {answer}."),
        cases=_food_cases(lambda f: f.colour),
    ),
    Kind(
        "food taste",
        "foods",
        train=(
            "How does {a_one} taste?",
            "What does {a_one} taste like?",
            "How do {many} taste?",
            "What is the taste of {a_one}?",
            "Tell me how {many} taste.",
            "Do you know how {a_one} tastes?",
            "How does the {one} taste?",
        ),
        held_out=(
            "Tell me how {a_one} tastes.",
            "What do {many} taste like?",
            "What is the taste of {many}?",
        ),
        it=("How does it taste?", "Tell me how it tastes.", "What does it taste like?"),
        tellings=("{a_one} tastes {answer}.", "{many} taste {answer}.", "It tastes {answer}."),
        short=("{answer}.", "the {one} tastes {answer}.", "they taste {answer}."),
        cases=_food_cases(lambda f: f.taste),
    ),
    Kind(
        "food group",
        "foods",
        train=(
            "Is {a_one} a fruit, a vegetable or a nut?",
            "What kind of food is {a_one}?",
            "What kind of food are {many}?",
            "Are {many} fruits, vegetables or nuts?",
            "Tell me what kind of food {a_one} is.",
            "Is {a_one} a nut, a fruit or a vegetable?",
            "What kind of food is the {one}?",
        ),
        held_out=(
            "Tell me what kind of food {many} are.",
            "Do you know what kind of food {many} are?",
            "Do you know what kind of food {a_one} is?",
        ),
        it=(
            "What kind of food is it?",
            "Tell me what kind of food it is.",
            "Is it a fruit, a vegetable or a nut?",
        ),
        tellings=("{a_one} is a {answer}.", "{many} are {answer}s.", "It is a {answer}."),
        short=("{answer}.", "a {answer}.", "the {one} is a {answer}.", "they are {answer}s."),
        cases=_food_cases(lambda f: f.group),
    ),
    Kind(
        "food grows",
        "foods",
        train=(
            "Where does {a_one} grow?",
            "Where do {many} grow?",
            "Where can I pick {a_one}?",
            "On what does {a_one} grow?",
            "Tell me where {many} grow.",
            "Do you know where {a_one} grows?",
            "Where does the {one} grow?",
        ),
        held_out=("Tell me where {a_one} grows.", "Where can I pick {many}?", "On what do {many} grow?"),
        it=("Where does it grow?", "Tell me where it grows.", "Where can I pick it?"),
        tellings=("{a_one} grows {answer}.", "{many} grow {answer}.", "It grows {answer}."),
        short=("{answer}.", "the {one} grows {answer}.", "they grow {answer}."),
        cases=_food_cases(lambda f: f.grows),
    ),
)

COLOUR_KINDS = (
    Kind(
        "colour of a thing",
        "colours",
        train=(
            "What colour is {thing}?",
            "Which colour does {thing} have?",
            "What is the colour of {thing}?",
            "Tell me the colour of {thing}.",
            "Do you know what colour {thing} is?",
        ),
        held_out=("Tell me what colour {thing} is.", "Say the colour of {thing}."),
        tellings=("{thing} is {answer}.", "It is {answer}.", "The colour of {thing} is {answer}."),
        short=("{answer}.",),
        cases=tuple(Case({"thing": thing, "answer": colour}) for thing, colour in COLOURS_OF_THINGS.items()),
        weight=1.5,
    ),
    Kind(
        "mixing colours",
        "colours",
        train=(
            "What do you get when you mix {a} and {b}?",
            "What colour do {a} and {b} make?",
            "Which colour comes from {a} and {b}?",
            "If I mix {a} with {b}, what colour do I get?",
            "Mix {a} and {b}.",
            "What is {a} mixed with {b}?",
        ),
        held_out=("What do I get when I mix {a} with {b}?", "Tell me what colour {a} and {b} make."),
        tellings=("{a} and {b} make {answer}.", "You get {answer}.", "Mixing {a} and {b} gives {answer}."),
        short=("{answer}.", "they make {answer}.", "it is {answer}."),
        cases=tuple(
            Case({"a": a, "b": b, "answer": mix})
            for pair, mix in MIXES.items()
            for a, b in (pair, pair[::-1])
        ),
        weight=1.5,
    ),
)
