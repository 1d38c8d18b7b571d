"""What lies outside the world: people, places, code, big numbers, made-up words and plain nonsense."""

import random

from assets.world.facts import words
from assets.world.kinds import Part, capital
from assets.world.nature import ANIMAL_KINDS, FOOD_KINDS, names_of

_SYLLABLES = tuple(
    start + vowel for start in words("b d f g k l m n p r s t v z bl dr gr pl st tr") for vowel in "aeiou"
)
_ENDS = ("", "", "n", "r", "ck", "l", "x", "sh", "t", "mp")


def _lines(text: str) -> tuple[str, ...]:
    return tuple(entry.strip() for line in text.strip().splitlines() for entry in line.split("|"))


# What the templates ask about. Of every list there are two, so that held-out questions ask of other things.
_MATTERS = {
    ("people", "train"): _lines("""
        the president | the king | the pope | the prime minister | your mother | your maker | a famous painter
        the mayor | the best singer | the first astronaut | the author of that book | my neighbour
    """),
    ("people", "held_out"): _lines(
        "the queen | the chancellor | a famous actor | the richest man | my teacher"
    ),
    ("places", "train"): _lines("""
        France | Berlin | America | Paris | China | Rome | Brazil | London | Africa | India | Texas | the moon
        Mars | my town
    """),
    ("places", "held_out"): _lines("Spain | Tokyo | Canada | Madrid | Egypt | Norway | Chicago"),
    ("matters", "train"): _lines("""
        a computer | the internet | a loan | tax | the law | football | a war | gravity | an election | music
        medicine | history | love | money | the stock market | a car | electricity | a volcano | the weather
        a phone | philosophy | school | religion | chemistry | an atom | a rocket | a film | politics
        the universe | time | a bank | a virus | a robot
    """),
    ("matters", "held_out"): _lines("""
        an engine | the economy | a bicycle | opera | a black hole | physics | a camera | tennis | democracy
        art | a contract | a battery | biology | a spaceship
    """),
    ("tasks", "train"): _lines("""
        write a Python function that sorts a list | write an essay | book a flight | fix my code
        write a poem
        translate this into French | make me a sandwich | play some music | open the door | draw a picture
        call a doctor | sing a song | order a pizza | solve this equation | explain quantum physics
        write a letter to my boss | give me a recipe for soup | recommend a film | set an alarm for noon
        tell me a joke
    """),
    ("tasks", "held_out"): _lines("""
        write a Java program | plan a trip | translate this into German | turn on the lamp | write a song
        buy me a coat | explain the theory of relativity | read me the news | give me advice about my job
    """),
}
_TEMPLATES = {
    ("people", "train"): _lines("""
        Who is {}? | Who was {}? | What do you think of {}? | How old is {}? | When was {} born?
        Where does {} live?
    """),
    ("people", "held_out"): _lines("Can you tell me who {} is? | Have you met {}?"),
    ("places", "train"): _lines("""
        What is the capital of {}? | How many people live in {}? | Who is the president of {}? | Where is {}?
        What language do they speak in {}? | What is the weather in {}?
    """),
    ("places", "held_out"): _lines("How far is it to {}? | What is the biggest city in {}?"),
    ("matters", "train"): _lines("""
        How does {} work? | What is {}? | Explain {} to me. | Tell me about {}. | What do you think about {}?
        Why do people like {}? | Who invented {}? | Do you like {}? | I am worried about {}.
    """),
    ("matters", "held_out"): _lines("How can I learn about {}? | What is the meaning of {}?"),
    ("tasks", "train"): _lines("{}. | Can you {}? | {} for me. | I want you to {}."),
    ("tasks", "held_out"): _lines("Will you {}? | {} now."),
}
_SUMS = {
    "train": _lines("""
        What is {a} plus {b}? | What is {a} times {b}? | What is {a} minus {b}? | {a} * {b} | {a} + {b}
        How much is {a} divided by {b}? | What comes after {a}? | What is the square root of {a}?
    """),
    "held_out": _lines("How much is {a} times {b}? | Divide {a} by {b}. | Add {a} to {b}."),
}
_SAYINGS = {
    "train": _lines("""
        Why? | What time is it? | What day is it today? | Is God real? | What is the meaning of life?
        I am sad. | I am bored. | Where am I? | Who will win the election? | What happened yesterday?
        How tall are you? | What did I eat today? | It is raining. | I do not understand. | Are you sure?
        What is my phone number? | Will it rain tomorrow? | How do I get rich? | Who are my parents?
        Do you like me? | Can animals fly? | What is the best animal? | Is a banana better than a pear?
        How heavy is a cow? | Can a dog swim? | How fast is a horse? | What is the price of an apple?
        What is love? | Why is the sky blue? | What should I do?
    """),
    "held_out": _lines("""
        How late is it? | I am tired. | What is the answer to everything? | How do I become famous?
        Can a cat swim? | How heavy is a horse? | Who will win the game? | Why is grass green?
        Where is my key? | What did I say?
    """),
}


def made_up(rng: random.Random) -> str:
    """A word of two or three syllables that means nothing."""
    word = "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((1, 2, 2, 3)))) + rng.choice(_ENDS)
    return word if len(word) > 3 else word + rng.choice(_SYLLABLES)


def made_up_name(rng: random.Random) -> str:
    """A name that may be nobody's: consonants, vowels and endings as in many languages' names."""
    starts = words("B C D F G H J K L M N P R S T V W Z Ch Sh Th Br Dr Fr Gr Kr Tr St Al An El En Is Or Ul")
    middles = words("b c d f g h k l ll m n nn p r rr s ss t tt v w x z nd nt rv rt rl ck lb mb sh st nk lk")
    ends = words("a e i o y us in an en on el ie er ert ine ia ka ko is as ard os eth ah")
    vowels = words("a e i o u a e i o ai ee ea y ou")
    name = rng.choice(starts)
    for _ in range(rng.choice((0, 1, 1, 2))):
        name += rng.choice(vowels) + rng.choice(middles)
    return name + rng.choice(ends)


def outside(rng: random.Random, part: Part) -> str:
    """A message that the world has no answer to."""
    return rng.choice((_thing, _thing, _matter, _matter, _sum, _nonsense, _saying))(rng, part)


def _thing(rng: random.Random, part: str) -> str:
    """A question of the world's about an animal or a food that does not exist."""
    kind = rng.choice(ANIMAL_KINDS + FOOD_KINDS)
    return rng.choice(kind.train if part == "train" else kind.held_out).format_map(names_of(made_up(rng)))


def _matter(rng: random.Random, part: str) -> str:
    topic = rng.choice(("people", "places", "matters", "matters", "tasks"))
    matter = rng.choice(_MATTERS[topic, part]) if rng.random() < 0.85 else made_up(rng).capitalize()
    return capital(rng.choice(_TEMPLATES[topic, part]).format(matter))


def _sum(rng: random.Random, part: str) -> str:
    a, b = (rng.randint(21, 999 if rng.random() < 0.3 else 99) for _ in range(2))
    return rng.choice(_SUMS[part]).format(a=a, b=b)


def _nonsense(rng: random.Random, part: str) -> str:
    """Made-up words, or keys struck at random; too many to meet again in another part."""
    if rng.random() < 0.5:
        letters = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(4, 12)))
        return letters[:5] + rng.choice((" ", "")) + letters[5:] if len(letters) > 6 else letters
    words = " ".join(made_up(rng) for _ in range(rng.randint(2, 5)))
    return words.capitalize() + rng.choice("?.!") if part == "train" or rng.random() < 0.5 else words


def _saying(rng: random.Random, part: str) -> str:
    return rng.choice(_SAYINGS[part])
