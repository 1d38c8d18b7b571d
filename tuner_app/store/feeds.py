"""What a label gives to training. Pure: no database."""

from collections import Counter
from collections.abc import Iterable

from engine.examples import Demonstration, Example, Message, Pair, Rated, kind_of
from tuner_app.store.rows import Item, LabelEvent


def fed(item: Item, event: LabelEvent) -> list[Example]:
    """The examples that a label makes of an item.

    A choice gives a pair and two rated replies (none where both replies are the same text); both bad two
    replies rated down; a thumb one rated reply; a correction a demonstration, the corrected reply rated up
    and, where it differs from the original, that one rated down and the pair of them. A tie, a skip and
    an undo give nothing.
    """
    replies = [reply.content for reply in item.replies]
    match event.verb:
        case "choose":
            chosen = replies[event.value["reply"]]
            rejected = replies[1 - event.value["reply"]]
            return _preferred(item, chosen, rejected)
        case "both_bad":
            return [Rated(item.prompt, reply, False) for reply in replies]
        case "good" | "bad":
            return [Rated(item.prompt, replies[0], event.verb == "good")]
        case "correct":
            corrected, original = event.value["text"], replies[event.value["reply"]]
            shown = Demonstration((*item.prompt, Message("assistant", corrected)))
            return [shown, *(_preferred(item, corrected, original) or [Rated(item.prompt, corrected, True)])]
    return []


def _preferred(item: Item, better: str, worse: str) -> list[Example]:
    if better == worse:
        return []
    return [
        Pair(item.prompt, better, worse),
        Rated(item.prompt, better, True),
        Rated(item.prompt, worse, False),
    ]


def describe_fed(examples: Iterable[Example]) -> str:
    """The examples in words: “1 SFT row, 1 pair, 2 thumbs”; “nothing” for none."""
    counts = Counter(kind_of(example) for example in examples)
    words = {"demonstration": "SFT row", "pair": "pair", "rated": "thumb"}
    parts = [
        f"{counts[kind]} {word}{'s' if counts[kind] > 1 else ''}"
        for kind, word in words.items()
        if counts[kind]
    ]
    return ", ".join(parts) or "nothing"
