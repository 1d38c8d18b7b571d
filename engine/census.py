"""What a run's rows are, counted before anything is trained: nothing is left out in silence."""

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from typing import Any

from engine.batches import Branch, Tree
from engine.examples import Example, Pair, Rated


def counted(
    examples: Sequence[Example], trees: Sequence[Tree], max_length: int, ends: Collection[int]
) -> dict[str, Any]:
    """The data of a "data" event (`engine.spec.Event`) for `examples` and their `trees`, in the same order.

    `ends` are the token ids that end a reply.
    """
    short = [tree for tree in trees if tree.longest <= max_length]
    used = [number for number, tree in enumerate(trees) if usable(tree, max_length)]
    return {
        "rows": len(trees),
        "used": len(used),
        "too_long": len(trees) - len(short),
        "no_label": len(short) - len(used),
        "no_end": sum(not _ended(trees[i], ends) for i in used),
        "repeated": len(trees) - len(set(map(_identity, examples, trees))),
        "contradictory": contradictory(examples),
        "classes": classes([examples[i] for i in used]),
        "max_length": max_length,
        "trained_tokens": sum(trees[i].trained for i in used),
    }


def usable(tree: Tree, max_length: int) -> bool:
    """Whether a tree is short enough and has a token to train on."""
    return tree.longest <= max_length and tree.trained > 0


def contradictory(examples: Sequence[Example]) -> int:
    """How many examples another one says the opposite of.

    That is the same two replies to a prompt preferred the other way round, or the same reply rated otherwise.
    """
    verdicts: defaultdict[Hashable, list[bool]] = defaultdict(list)
    for example in examples:
        if isinstance(example, Pair):
            replies = tuple(sorted((example.chosen, example.rejected)))
            verdicts[example.prompt, replies].append(example.chosen > example.rejected)
        elif isinstance(example, Rated):
            verdicts[example.prompt, example.reply].append(example.good)
    return sum(len(said) for said in verdicts.values() if len(set(said)) > 1)


def classes(examples: Sequence[Example]) -> dict[str, int]:
    """How the labels are divided: replies rated good and bad, or pairs by which reply is the longer.

    A method that learns “longer is better” shows in the latter first. Empty for other examples.
    """
    found: Counter[str] = Counter()
    for example in examples:
        if isinstance(example, Rated):
            found["good"] += example.good
            found["bad"] += not example.good  # 0 is told too: one kind alone teaches less
        elif isinstance(example, Pair):
            longer = len(example.chosen) - len(example.rejected)
            found["chosen longer" if longer > 0 else "rejected longer" if longer else "equally long"] += 1
    return dict(sorted(found.items()))


def _identity(example: Example, tree: Tree) -> Hashable:
    """What a repeated row has twice: its tokens and, where there is one, its rating."""
    branches = ((tuple(branch.ids), tuple(branch.trained)) for branch in tree.branches)
    return getattr(example, "good", None), tuple(tree.prompt), *branches


def _ended(tree: Tree, ends: Collection[int]) -> bool:
    """Whether each stretch of trained tokens ends with a token that ends a reply."""
    return all(branch.ids[i] in ends for branch in tree.branches for i in _last_of_stretches(branch))


def _last_of_stretches(branch: Branch) -> list[int]:
    following = [*branch.trained[1:], False]
    return [
        i for i, (now, then) in enumerate(zip(branch.trained, following, strict=True)) if now and not then
    ]
