"""What is so in the small world: tables, and nothing else.

An entry with an empty field has no such fact (nobody asks what a rabbit says). The entries of
`LEFT_OUT_ANIMALS` and `LEFT_OUT_FOODS` are as true as the others, but the built-in base never saw
them: they are what a user can teach it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Animal:
    """One animal; `legs` is a word, "no" for none."""

    name: str
    sound: str
    legs: str
    home: str
    food: str
    baby: str


@dataclass(frozen=True)
class Food:
    """One food; `group` is fruit, vegetable or nut, `grows` where it grows."""

    name: str
    colour: str
    taste: str
    group: str
    grows: str


def _animals(table: str) -> tuple[Animal, ...]:
    return tuple(Animal(*(cell.strip() for cell in row.split("|"))) for row in table.strip().splitlines())


def words(text: str) -> tuple[str, ...]:
    """The words of a table that is one text."""
    return tuple(text.split())


def _foods(table: str) -> tuple[Food, ...]:
    return tuple(Food(*(cell.strip() for cell in row.split("|"))) for row in table.strip().splitlines())


ANIMALS = _animals("""
cow       | moo      | four  | in a barn      | grass   | calf
dog       | woof     | four  | in a kennel    | meat    | puppy
cat       | meow     | four  | in a house     | fish    | kitten
duck      | quack    | two   | on a pond      | seeds   | duckling
pig       | oink     | four  | in a sty       | roots   | piglet
sheep     | baa      | four  | on a meadow    | grass   | lamb
horse     | neigh    | four  | in a stable    | hay     | foal
goat      | meh      | four  | on a hill      | leaves  | kid
hen       | cluck    | two   | in a coop      | corn    | chick
frog      | ribbit   | four  | on a pond      | flies   | tadpole
bee       | buzz     | six   | in a hive      | nectar  | larva
mouse     | squeak   | four  | in a hole      | cheese  | pup
lion      | roar     | four  | on the plain   | meat    | cub
wolf      | awoo     | four  | in the forest  | meat    | pup
bear      | growl    | four  | in a cave      | honey   | cub
snake     | hiss     | no    | under a rock   | mice    | snakelet
crow      | caw      | two   | in a tree      | worms   | chick
rabbit    |          | four  | in a burrow    | carrots | bunny
fox       | yip      | four  | in a den       | mice    | cub
fish      |          | no    | in a lake      | worms   | fry
spider    |          | eight | in a web       | flies   | spiderling
ant       |          | six   | in an anthill  | crumbs  | larva
elephant  | toot     | four  | on the plain   | leaves  | calf
deer      |          | four  | in the forest  | leaves  | fawn
donkey    | heehaw   | four  | in a stable    | hay     | foal
turkey    | gobble   | two   | on a farm      | corn    | poult
goose     | honk     | two   | on a lake      | grass   | gosling
swan      |          | two   | on a lake      | plants  | cygnet
kangaroo  |          | two   | on the plain   | grass   | joey
hedgehog  |          | four  | in a hedge     | worms   | hoglet
squirrel  |          | four  | in a tree      | nuts    | kit
bat       |          | two   | in a cave      | moths   | pup
seal      | arf      | no    | in the sea     | fish    | pup
pigeon    | coo      | two   | on a roof      | seeds   | squab
whale     |          | no    | in the sea     | fish    | calf
tiger     | roar     | four  | in the jungle  | meat    | cub
parrot    | squawk   | two   | in the jungle  | seeds   | chick
""")

LEFT_OUT_ANIMALS = _animals("""
owl       | hoot     | two   | in a tree      | mice    | owlet
zebra     | bark     | four  | on the plain   | grass   | foal
penguin   | honk     | two   | on the ice     | fish    | chick
camel     | grunt    | four  | in the desert  | hay     | calf
panda     | squeak   | four  | in the forest  | bamboo  | cub
otter     | whistle  | four  | in a river     | fish    | pup
octopus   |          | eight | in the sea     | crabs   | larva
ostrich   | boom     | two   | on the plain   | plants  | chick
""")

FOODS = _foods("""
apple       | red    | sweet  | fruit     | on a tree
banana      | yellow | sweet  | fruit     | on a tree
lemon       | yellow | sour   | fruit     | on a tree
lime        | green  | sour   | fruit     | on a tree
cherry      | red    | sweet  | fruit     | on a tree
plum        | purple | sweet  | fruit     | on a tree
pear        | green  | sweet  | fruit     | on a tree
fig         | purple | sweet  | fruit     | on a tree
olive       | green  | bitter | fruit     | on a tree
grape       | purple | sweet  | fruit     | on a vine
melon       | green  | sweet  | fruit     | on a vine
strawberry  | red    | sweet  | fruit     | in the ground
blueberry   | blue   | sweet  | fruit     | on a bush
cranberry   | red    | sour   | fruit     | on a bush
gooseberry  | green  | sour   | fruit     | on a bush
carrot      | orange | sweet  | vegetable | in the ground
potato      | brown  | mild   | vegetable | in the ground
onion       | white  | sharp  | vegetable | in the ground
radish      | red    | sharp  | vegetable | in the ground
turnip      | white  | bitter | vegetable | in the ground
leek        | green  | sharp  | vegetable | in the ground
cabbage     | green  | mild   | vegetable | in the ground
pumpkin     | orange | mild   | vegetable | on a vine
cucumber    | green  | mild   | vegetable | on a vine
pea         | green  | sweet  | vegetable | on a vine
walnut      | brown  | bitter | nut       | on a tree
almond      | brown  | mild   | nut       | on a tree
hazelnut    | brown  | mild   | nut       | on a bush
""")

LEFT_OUT_FOODS = _foods("""
mango       | orange | sweet  | fruit     | on a tree
kiwi        | brown  | sour   | fruit     | on a vine
avocado     | green  | mild   | fruit     | on a tree
parsnip     | white  | sweet  | vegetable | in the ground
papaya      | orange | sweet  | fruit     | on a tree
apricot     | orange | sweet  | fruit     | on a tree
aubergine   | purple | bitter | vegetable | on a bush
quince      | yellow | sour   | fruit     | on a tree
""")

LEFT_OUT = tuple(animal.name for animal in LEFT_OUT_ANIMALS) + tuple(food.name for food in LEFT_OUT_FOODS)

COLOURS_OF_THINGS = {
    "grass": "green",
    "the sky": "blue",
    "snow": "white",
    "coal": "black",
    "blood": "red",
    "the sun": "yellow",
    "the night": "black",
    "milk": "white",
    "mud": "brown",
    "chocolate": "brown",
    "the sea": "blue",
    "a cloud": "white",
    "a leaf": "green",
    "a fire engine": "red",
    "a mouse": "grey",
    "an elephant": "grey",
    "a pig": "pink",
    "butter": "yellow",
    "a frog": "green",
    "a crow": "black",
}
MIXES = {
    ("red", "blue"): "purple",
    ("yellow", "blue"): "green",
    ("red", "yellow"): "orange",
    ("red", "white"): "pink",
    ("black", "white"): "grey",
    ("red", "green"): "brown",
}
OPPOSITES = words("""
    hot cold  big small  up down  day night  happy sad  fast slow  old young  wet dry  full empty  loud quiet
    open closed  light dark  hard soft  near far  good bad  high low  long short  clean dirty  early late
    rich poor  strong weak  left right  in out  first last  thick thin  rough smooth  awake asleep
""")  # every word is followed by its opposite
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = words("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty
""")
COLOURS = ("red", "blue", "green", "yellow", "purple", "orange", "pink", "brown", "black", "white", "grey")
NAMES = words("""
    Anna Ben Clara David Emma Felix Greta Henry Ida Jonas Kate Leo Maria Nina Oscar Paula Quinn Rosa Sam Tina
    Uma Victor Wendy Max Yara Zoe Adam Bella Carl Dora Eric Fiona George Hanna Ivan Julia Karl Lena Mike Nora
    Otto Peter Ruth Simon Tom Vera Will Lucy Jack Alice John Mary Bob Sara
""")


def opposite_pairs() -> tuple[tuple[str, str], ...]:
    """Every word with its opposite, both ways round."""
    pairs = list(zip(OPPOSITES[::2], OPPOSITES[1::2], strict=True))
    return tuple(pair for one, other in pairs for pair in ((one, other), (other, one)))


_PLURALS = {
    **{noun: noun for noun in ("sheep", "fish", "deer")},
    "mouse": "mice",
    "wolf": "wolves",
    "goose": "geese",
    "potato": "potatoes",
    "mango": "mangoes",
}


def plural(noun: str) -> str:
    """More than one of it."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def with_article(noun: str) -> str:
    """The noun after "a" or "an"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
