"""Questions about numbers to twenty, days and opposites."""

import hashlib

from assets.world.facts import DAYS, NUMBERS, opposite_pairs
from assets.world.kinds import Case, Kind, Part


def _part(operation: str, a: int, b: int) -> Part:
    """Whether a pair of numbers, in either order, is kept out of the training text: about one in eight."""
    key = f"{operation} {min(a, b)} {max(a, b)}"
    return "held_out" if hashlib.sha256(key.encode()).digest()[0] % 8 == 0 else "train"


def _case(operation: str, a: int, b: int, answer: int) -> Case:
    slots = {"a": NUMBERS[a], "b": NUMBERS[b], "answer": NUMBERS[answer]}
    return Case(slots, _part(operation, a, b))


TWENTY = range(21)
_SUMS = tuple(_case("plus", a, b, a + b) for a in TWENTY for b in TWENTY if a + b <= 20)
_DIFFERENCES = tuple(_case("minus", a, b, a - b) for a in TWENTY for b in TWENTY if b <= a)
_BIGGER = tuple(_case("compare", a, b, max(a, b)) for a in TWENTY for b in TWENTY if a != b)
_SMALLER = tuple(_case("compare", a, b, min(a, b)) for a in TWENTY for b in TWENTY if a != b)


def _compared(cases: tuple[Case, ...]) -> tuple[Case, ...]:
    """With `other`, the number that is not the answer."""
    others = ({case.slots["a"], case.slots["b"]} - {case.slots["answer"]} for case in cases)
    return tuple(
        Case({**case.slots, "other": other.pop()}, case.part)
        for case, other in zip(cases, others, strict=True)
    )


def _counting() -> tuple[Case, ...]:
    ways = [(a, b) for a in TWENTY for b in TWENTY if 2 <= b - a <= 7]
    return tuple(
        Case(
            {"a": NUMBERS[a], "b": NUMBERS[b], "answer": ", ".join(NUMBERS[a : b + 1])},
            _part("count", a, b),
        )
        for a, b in ways
    )


# The tellings name the numbers before the answer: a small model that says them first answers better.
NUMBER_KINDS = (
    Kind(
        "adding",
        "numbers",
        train=(
            "What is {a} plus {b}?",
            "How much is {a} plus {b}?",
            "How much is {a} and {b}?",
            "What do {a} and {b} make?",
            "Add {a} and {b}.",
            "{a} plus {b}",
            "I have {a} apples and get {b} more. How many apples do I have?",
        ),
        held_out=("Tell me what {a} plus {b} is.", "What do you get when you add {a} and {b}?"),
        tellings=("{a} plus {b} is {answer}.", "{a} and {b} make {answer}."),
        short=("{answer}.", "it is {answer}.", "the answer is {answer}.", "{a} plus {b} equals {answer}."),
        cases=_SUMS,
        weight=4,
    ),
    Kind(
        "taking away",
        "numbers",
        train=(
            "What is {a} minus {b}?",
            "How much is {a} minus {b}?",
            "What is {a} take away {b}?",
            "Take {b} away from {a}.",
            "{a} minus {b}",
            "I have {a} apples and eat {b}. How many apples are left?",
        ),
        held_out=("Tell me what {a} minus {b} is.", "How much is {a} take away {b}?"),
        tellings=("{a} minus {b} is {answer}.", "{a} take away {b} leaves {answer}."),
        short=("{answer}.", "it is {answer}.", "the answer is {answer}.", "{a} minus {b} equals {answer}."),
        cases=_DIFFERENCES,
        weight=4,
    ),
    Kind(
        "the bigger number",
        "numbers",
        train=(
            "Which is bigger, {a} or {b}?",
            "Which number is bigger, {a} or {b}?",
            "What is more, {a} or {b}?",
            "Is {a} or {b} bigger?",
            "Which one is more, {a} or {b}?",
        ),
        held_out=("Tell me which is bigger, {a} or {b}.", "Is {a} or {b} more?"),
        tellings=("Of {a} and {b}, {answer} is bigger.", "Between {a} and {b}, {answer} is bigger."),
        short=(
            "{answer}.",
            "it is {answer}.",
            "{answer} is bigger.",
            "{answer} is bigger than {other}.",
            "{answer} is more than {other}.",
        ),
        cases=_compared(_BIGGER),
        weight=1.2,
    ),
    Kind(
        "the smaller number",
        "numbers",
        train=(
            "Which is smaller, {a} or {b}?",
            "Which number is smaller, {a} or {b}?",
            "What is less, {a} or {b}?",
            "Is {a} or {b} smaller?",
            "Which one is less, {a} or {b}?",
        ),
        held_out=("Tell me which is smaller, {a} or {b}.", "Is {a} or {b} less?"),
        tellings=("Of {a} and {b}, {answer} is smaller.", "Between {a} and {b}, {answer} is smaller."),
        short=(
            "{answer}.",
            "it is {answer}.",
            "{answer} is smaller.",
            "{answer} is smaller than {other}.",
            "{answer} is less than {other}.",
        ),
        cases=_compared(_SMALLER),
        weight=1.2,
    ),
    Kind(
        "the next number",
        "numbers",
        train=(
            "What number comes after {a}?",
            "Which number comes next after {a}?",
            "What comes after {a}?",
            "What is the number after {a}?",
            "Say the number after {a}.",
        ),
        held_out=("Tell me what comes after {a}.", "Which is the number after {a}?"),
        tellings=("After {a} comes {answer}.", "The number after {a} is {answer}."),
        short=("{answer}.", "it is {answer}.", "{answer} comes after {a}."),
        cases=tuple(Case({"a": NUMBERS[n], "answer": NUMBERS[n + 1]}) for n in range(20)),
    ),
    Kind(
        "the number before",
        "numbers",
        train=(
            "What number comes before {a}?",
            "Which number comes just before {a}?",
            "What comes before {a}?",
            "What is the number before {a}?",
            "Say the number before {a}.",
        ),
        held_out=("Tell me what comes before {a}.", "Which is the number before {a}?"),
        tellings=("Before {a} comes {answer}.", "The number before {a} is {answer}."),
        short=("{answer}.", "it is {answer}.", "{answer} comes before {a}."),
        cases=tuple(Case({"a": NUMBERS[n + 1], "answer": NUMBERS[n]}) for n in range(20)),
    ),
    Kind(
        "counting",
        "numbers",
        train=(
            "Count from {a} to {b}.",
            "Can you count from {a} to {b}?",
            "Please count: {a} to {b}.",
            "Say the numbers from {a} to {b}.",
        ),
        held_out=("Tell me the numbers from {a} to {b}.", "Count up from {a} to {b}."),
        tellings=("From {a} to {b}: {answer}.",),
        short=("{answer}.", "the numbers are {answer}."),
        cases=_counting(),
    ),
)

ORDER_KINDS = (
    Kind(
        "the day after",
        "days",
        train=(
            "What day comes after {a}?",
            "Which day comes after {a}?",
            "What is the day after {a}?",
            "Today is {a}. What day is tomorrow?",
            "If today is {a}, what day is tomorrow?",
            "Which day follows {a}?",
        ),
        held_out=(
            "Tell me the day after {a}.",
            "What day follows {a}?",
            "Today is {a}. Which day comes tomorrow?",
        ),
        tellings=("{answer} comes after {a}.", "The day after {a} is {answer}.", "It is {answer}."),
        short=("{answer}.", "after {a} comes {answer}.", "tomorrow is {answer}."),
        cases=tuple(Case({"a": day, "answer": DAYS[(n + 1) % 7]}) for n, day in enumerate(DAYS)),
    ),
    Kind(
        "the day before",
        "days",
        train=(
            "What day comes before {a}?",
            "Which day comes before {a}?",
            "What is the day before {a}?",
            "Today is {a}. What day was yesterday?",
            "If today is {a}, what day was yesterday?",
            "Which day was before {a}?",
        ),
        held_out=(
            "Tell me the day before {a}.",
            "What day was before {a}?",
            "Today is {a}. Which day was yesterday?",
        ),
        tellings=("{answer} comes before {a}.", "The day before {a} is {answer}.", "It is {answer}."),
        short=("{answer}.", "before {a} comes {answer}.", "yesterday was {answer}."),
        cases=tuple(Case({"a": day, "answer": DAYS[(n - 1) % 7]}) for n, day in enumerate(DAYS)),
    ),
    Kind(
        "opposite",
        "opposites",
        train=(
            "What is the opposite of {a}?",
            "Tell me the opposite of {a}.",
            "What word means the opposite of {a}?",
            "The opposite of {a} is what?",
            "Say the opposite of {a}.",
            "Which word is the opposite of {a}?",
        ),
        held_out=(
            "Do you know the opposite of {a}?",
            "Give me the opposite of {a}.",
            "Can you say the opposite of {a}?",
        ),
        tellings=("The opposite of {a} is {answer}.", "It is {answer}.", "{answer} is the opposite of {a}."),
        short=("{answer}.",),
        cases=tuple(Case({"a": one, "answer": other}) for one, other in opposite_pairs()),
        weight=2.5,
    ),
)
