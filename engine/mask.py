"""The loss mask of a row, token by token: what is trained on and what is only read."""

from typing import Any

from engine.batches import Branch, Tree
from engine.examples import Demonstration, Example, Pair, Rated
from engine.findings import Part
from engine.text_stream import TextStream


def parts(tokenizer: Any, example: Example, tree: Tree) -> list[Part]:
    """The parts of a row as the method trains on it, in order: a prompt's and one for each branch.

    A conversation is one part. Special tokens are shown as the tokenizer writes them.
    """
    if isinstance(example, Demonstration):
        return [Part("conversation", _pieces(tokenizer, tree, tree.branches[0], start=0))]
    prompt = Part("prompt", _pieces(tokenizer, tree, Branch([], []), start=0))
    names = _names(example, len(tree.branches))
    start = len(tree.prompt)
    return [
        prompt,
        *(
            Part(name, _pieces(tokenizer, tree, branch, start))
            for name, branch in zip(names, tree.branches, strict=False)
        ),
    ]


def _names(example: Example, branches: int) -> list[str]:
    """What the branches are; none for a prompt, whose replies are yet to be drawn."""
    if isinstance(example, Pair):
        return ["chosen", *["rejected"] * (branches - 1)]
    if isinstance(example, Rated):
        return [f"reply, rated {'good' if example.good else 'bad'}", *["mismatched reply"] * (branches - 1)]
    return []


def _pieces(tokenizer: Any, tree: Tree, branch: Branch, start: int) -> list[tuple[str, bool]]:
    """The texts of prompt and branch from token `start` on.

    The whole sequence is decoded in any case: decoders treat a text's first token apart.
    """
    ids = tree.prompt + branch.ids
    trained = [False] * len(tree.prompt) + branch.trained
    if not tree.prompt and trained:
        trained[0] = False  # nothing precedes it, so nothing predicts it
    stream = TextStream(tokenizer, special=True)
    texts = [stream.add(token) for token in ids]
    if ids:
        texts[-1] += stream.end()
    return [(text, on) for text, on in zip(texts[start:], trained[start:], strict=True) if text]
