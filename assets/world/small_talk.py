"""Greetings, things to remember and tiny stories."""

from assets.world.facts import ANIMALS, COLOURS, DAYS, FOODS, NUMBERS, with_article
from assets.world.kinds import Case, Kind

TALK_KINDS = (
    Kind(
        "hello",
        "talk",
        train=(
            "Hello!",
            "Hi!",
            "Hi there!",
            "Good morning!",
            "Hello there!",
            "Good evening!",
            "Hey!",
            "Hello, model!",
            "Greetings!",
            "Good day!",
            "Good afternoon!",
            "Nice to see you!",
            "Nice to meet you!",
        ),
        held_out=("A good morning to you!", "Hello to you!", "Nice to meet you, model!"),
        tellings=("Hello.", "Hello there.", "Good day."),
        short=("Hi.", "Hi there."),
        weight=2,
    ),
    Kind(
        "goodbye",
        "talk",
        train=(
            "Goodbye!",
            "Good bye!",
            "Bye!",
            "Bye bye!",
            "Good night!",
            "I have to go now.",
            "See you later!",
            "Goodbye, model!",
            "Goodbye for now!",
            "See you!",
            "I must go now.",
            "I must go.",
            "I have to leave.",
            "I have to leave now.",
            "I need to go.",
        ),
        held_out=("See you soon!", "I have to go.", "Bye for now!", "Good night, model!"),
        tellings=("Goodbye.", "See you again.", "Goodbye for now."),
        short=("Bye.", "See you.", "Good night."),
        weight=2,
    ),
    Kind(
        "thanks",
        "talk",
        train=(
            "Thank you!",
            "Thanks!",
            "Thanks a lot!",
            "Thank you very much!",
            "Many thanks!",
            "Thx!",
            "Thank you for that.",
        ),
        held_out=("Thank you so much!", "Thanks for that!", "Thank you a lot!"),
        tellings=("You are welcome.", "No problem.", "It was nothing."),
        weight=2,
    ),
    Kind(
        "how are you",
        "talk",
        train=("How are you?", "How are you today?", "How do you feel?", "Are you well?", "How is it going?"),
        held_out=("How do you feel today?", "Are you well today?", "How are you doing?"),
        tellings=("I am well.", "I am fine.", "I feel good today."),
        short=("Well.", "Fine.", "Good.", "I am good."),
        weight=2,
    ),
    Kind(
        "who are you",
        "talk",
        train=(
            "Who are you?",
            "What are you?",
            "What is your name?",
            "Are you a person?",
            "Do you have a name?",
            "Say who you are.",
            "What is your own name?",
            "Tell me who you are.",
        ),
        held_out=("Tell me what you are.", "Can you say who you are?", "What sort of thing are you?"),
        tellings=(
            "I am a small language model.",
            "I am a model of a small world.",
            "I am only a small model.",
        ),
        short=("A small language model.", "A small model."),
        weight=2,
    ),
    Kind(
        "what can you do",
        "talk",
        train=(
            "What can you do?",
            "What do you know?",
            "What do you know about?",
            "What can I ask you?",
            "What can you talk about?",
            "What can we talk about?",
            "Tell me what you can do.",
            "Help!",
            "Help me!",
        ),
        held_out=("Tell me what I can ask you.", "What can you tell me about?", "Can you help me?"),
        tellings=(
            "I know animals, foods, colours, days, opposites and numbers to twenty.",
            "You can ask me about animals, foods, colours, days and numbers.",
            "I can add small numbers, tell a tiny story and talk about animals and foods.",
        ),
        weight=2,
    ),
)

_FAVOURITES = {
    "colour": COLOURS,
    "animal": tuple(f"the {one.name}" for one in ANIMALS),
    "food": tuple(f"the {one.name}" for one in FOODS),
    "day": DAYS,
    "number": NUMBERS,
}

# Said by the user, and asked for again later in the same dialogue.
TOLD_KINDS = (
    Kind(
        "telling a name",
        "memory",
        train=(
            "My name is {name}.",
            "I am called {name}.",
            "Call me {name}.",
            "Hello, my name is {name}.",
            "Hi, call me {name}.",
        ),
        held_out=("I am known as {name}.", "You can call me {name}.", "People call me {name}."),
        tellings=("Hello, {name}.", "I will remember your name, {name}.", "Your name is {name}."),
        short=("hi, {name}.", "nice to meet you, {name}."),
        open=("name",),
    ),
    Kind(
        "telling a favourite",
        "memory",
        train=(
            "My favourite {what} is {value}.",
            "The {what} I like best is {value}.",
            "Remember that my favourite {what} is {value}.",
            "My favourite {what} is {value}, you know.",
        ),
        held_out=("You should know that my favourite {what} is {value}.", "{value} is my favourite {what}."),
        tellings=(
            "Your favourite {what} is {value}.",
            "I will remember that you like {value} best.",
            "I will remember {value}.",
        ),
        short=("I will remember that.", "I will remember that your favourite {what} is {value}."),
        cases=tuple(
            Case({"what": what, "value": value}) for what, values in _FAVOURITES.items() for value in values
        ),
    ),
)

RECALL_KINDS = (
    Kind(
        "recalling a name",
        "memory",
        train=(
            "What is my name?",
            "Do you remember my name?",
            "Do you know my name?",
            "What am I called?",
            "Who am I?",
            "Tell me my name.",
        ),
        held_out=("Say my name.", "Do you still know my name?", "Can you tell me my name?"),
        tellings=("Your name is {name}.", "You are {name}.", "You are called {name}."),
        short=("{name}.", "it is {name}."),
        open=("name",),
    ),
    Kind(
        "recalling a favourite",
        "memory",
        train=(
            "What is my favourite {what}?",
            "Do you remember my favourite {what}?",
            "Which {what} do I like best?",
            "Tell me my favourite {what}.",
            "Do you know my favourite {what}?",
        ),
        held_out=(
            "Say my favourite {what}.",
            "What {what} do I like best?",
            "Can you tell me my favourite {what}?",
        ),
        tellings=("Your favourite {what} is {value}.", "You like {value} best.", "It is {value}."),
        short=("{value}.",),
        cases=tuple(Case({"what": what}) for what in _FAVOURITES),
        open=("value",),
    ),
)

THINGS = (
    "a red ball",
    "a blue hat",
    "a small key",
    "a warm scarf",
    "a yellow kite",
    "a golden bell",
    "a green boat",
    "a silver spoon",
)
PLACES = (
    "in the garden",
    "by the river",
    "under a tree",
    "in the snow",
    "near the old mill",
    "on the hill",
)
_HEROES = tuple({"hero": animal.name, "a_hero": with_article(animal.name)} for animal in ANIMALS)
_LOSSES = tuple(
    {**hero, "thing": thing, "place": place} for hero in _HEROES[::3] for thing in THINGS for place in PLACES
)

_STORIES = (
    "Once there was a little {hero}. The {hero} lost {thing} {place}. A friend helped to look "
    "for it. Soon they found it, and the {hero} was happy.",
    "One day {a_hero} found {thing} {place}. The {hero} showed it to a friend. "
    "They played until it was dark.",
    "There was {a_hero} who was afraid of the dark. So the {hero} slept {place} with {thing}. "
    "In the morning the {hero} was brave.",
)

STORY_KINDS = (
    Kind(
        "a story",
        "stories",
        train=(
            "Tell me a story about {a_hero}.",
            "Tell me a tiny story about {a_hero}.",
            "Can you tell a story about {a_hero}?",
            "I want a story about {a_hero}.",
            "A story about {a_hero}, please.",
        ),
        held_out=("I want to hear a story about {a_hero}.", "Can you tell me a tiny story about {a_hero}?"),
        tellings=_STORIES,
        cases=tuple(Case(hero) for hero in _HEROES),
        free={"thing": THINGS, "place": PLACES},
        weight=3,
    ),
    Kind(
        "any story",
        "stories",
        train=("Tell me a story.", "Tell me a tiny story.", "Can you tell a story?", "I want a story."),
        held_out=("I want to hear a story.", "Can you tell me a tiny story?"),
        tellings=tuple(
            telling.replace("{a_hero}", f"a {hero}").replace("{hero}", hero)
            for telling in _STORIES
            for hero in ("cat", "fox", "bear")
        ),
        free={"thing": THINGS, "place": PLACES},
    ),
    Kind(
        "where it was lost",
        "stories",
        train=(
            "{a_hero} lost {thing} {place}. Where did the {hero} lose it?",
            "Listen. {a_hero} lost {thing} {place}. Where was it lost?",
            "One day {a_hero} lost {thing} {place}. Where did the {hero} lose it?",
            "{a_hero} lost {thing} {place}. Where should we look for it?",
        ),
        held_out=(
            "Listen. {a_hero} lost {thing} {place}. Where did the {hero} lose it?",
            "One day {a_hero} lost {thing} {place}. Where should we look for it?",
        ),
        tellings=("The {hero} lost it {place}.", "It was {place}.", "We should look {place}."),
        short=("{place}.", "it was lost {place}.", "{a_hero} lost it {place}."),
        cases=tuple(Case(loss) for loss in _LOSSES),
    ),
    Kind(
        "what was lost",
        "stories",
        train=(
            "{a_hero} lost {thing} {place}. What did the {hero} lose?",
            "Listen. {a_hero} lost {thing} {place}. What was lost?",
            "One day {a_hero} lost {thing} {place}. What did the {hero} lose?",
            "{a_hero} lost {thing} {place}. What should we look for?",
        ),
        held_out=(
            "Listen. {a_hero} lost {thing} {place}. What did the {hero} lose?",
            "One day {a_hero} lost {thing} {place}. What should we look for?",
        ),
        tellings=("The {hero} lost {thing}.", "It was {thing}.", "We should look for {thing}."),
        short=("{thing}.", "{a_hero} lost {thing}."),
        cases=tuple(Case(loss) for loss in _LOSSES),
    ),
    Kind(
        "who lost it",
        "stories",
        train=(
            "{a_hero} lost {thing} {place}. Who lost it?",
            "Listen. {a_hero} lost {thing} {place}. Who was it?",
            "One day {a_hero} lost {thing} {place}. Who lost it?",
            "{a_hero} lost {thing} {place}. Who is looking for it?",
        ),
        held_out=(
            "Listen. {a_hero} lost {thing} {place}. Who lost it?",
            "One day {a_hero} lost {thing} {place}. Who is looking for it?",
        ),
        tellings=("The {hero} lost it.", "It was the {hero}.", "{a_hero} lost it."),
        short=("the {hero}.", "{a_hero}.", "the {hero} lost {thing}.", "it was {a_hero}."),
        cases=tuple(Case(loss) for loss in _LOSSES),
    ),
)

# What is right when the world does not hold the answer, or the user has not told it.
DO_NOT_KNOW = (
    "I do not know.",
    "I do not know that.",
    "That is outside of my small world.",
    "I have not learned that.",
)
NOT_TOLD = ("You have not told me.", "I do not know yet.", "You have not told me that.")
