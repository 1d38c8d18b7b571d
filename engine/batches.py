"""Rows of tokens, and how they become tensors.

A `Tree` is a prompt with one or more replies. In the tree layout it is one row, `prompt | reply 1 | … |
reply k`: the positions of each reply go on from the prompt's, and a mask lets a reply see the prompt and
itself. The prompt is computed once. In the plain layout each reply has a row of its own, with its prompt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor


@dataclass(frozen=True)
class Branch:
    """Tokens that follow a prompt, and which of them are trained on."""

    ids: list[int]
    trained: list[bool]

    @staticmethod
    def reply(ids: list[int]) -> "Branch":
        """A branch that is trained on throughout."""
        return Branch(ids, [True] * len(ids))


@dataclass(frozen=True)
class Tree:
    """One prompt and the branches that follow it.

    A token is trained on by predicting it from the one before, so with an empty prompt the first token
    of a branch cannot be.
    """

    prompt: list[int]
    branches: list[Branch]

    @property
    def length(self) -> int:
        """Tokens in the tree layout's row."""
        return len(self.prompt) + sum(len(branch.ids) for branch in self.branches)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence: the prompt with its longest reply."""
        return len(self.prompt) + max(len(branch.ids) for branch in self.branches)

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return sum(len(_targets(self, branch)) for branch in self.branches)


@dataclass(frozen=True)
class Batch:
    """Rows for the model, and where in them the trained tokens are predicted.

    R rows of T tokens with N trained tokens in B branches. `mask` is additive, 0 or the lowest float, and
    None where plain causal attention is right. `row` and `column` point to the N positions that predict
    `targets`; `owner` says which of the B branches, in order, each belongs to. `last` is row and column
    of each branch's last token: the prompt's where a branch is empty.
    """

    ids: Tensor  # (R, T)
    positions: Tensor | None  # (R, T)
    mask: Tensor | None  # (R, 1, T, T)
    row: Tensor  # (N,)
    column: Tensor  # (N,)
    targets: Tensor  # (N,)
    owner: Tensor  # (N,)
    last: Tensor  # (B, 2)

    @property
    def branches(self) -> int:
        """B."""
        return len(self.last)


def micro_batches(trees: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """`trees` (numbers) cut into groups of like length: rows × longest row ≤ `budget` tokens, or one row.

    Of all such cuts the cheapest: least tokens, padding included, when a group costs as much as a sixteenth
    of the budget on top. The longest come first, so that a lack of memory shows at once.
    """
    order = sorted(trees, key=lambda i: (-lengths[i], i))
    cheapest, cut = [0.0], [0]  # of the first n trees: what they cost, and where their last group begins
    for end in range(1, len(order) + 1):
        ways = []
        for start in range(end - 1, -1, -1):
            tokens = (end - start) * lengths[order[start]]
            if tokens > budget and ways:
                break
            ways.append((cheapest[start] + tokens + budget / 16, start))
        cost, start = min(ways)
        cheapest.append(cost)
        cut.append(start)
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[cut[end] : end])
        end = cut[end]
    return groups[::-1]


def collate(trees: Sequence[Tree], *, as_trees: bool, device: torch.device, dtype: torch.dtype) -> Batch:
    """Tensors on `device` for `trees`; `dtype` is the attention mask's.

    A tree of one branch needs no mask of its own, and with `as_trees` false no row does.
    """
    if as_trees and any(len(tree.branches) > 1 for tree in trees):
        return _collate_trees(trees, device, dtype)
    return _collate_rows(trees, device)


def _collate_rows(trees: Sequence[Tree], device: torch.device) -> Batch:
    sequences = [(tree, branch) for tree in trees for branch in tree.branches]
    rows = [tree.prompt + branch.ids for tree, branch in sequences]
    targets = [
        (row, len(tree.prompt) + i - 1, branch.ids[i], row)
        for row, (tree, branch) in enumerate(sequences)
        for i in _targets(tree, branch)
    ]
    last = [(row, len(ids) - 1) for row, ids in enumerate(rows)]
    return _batch(rows, targets, last, None, None, device)


def _collate_trees(trees: Sequence[Tree], device: torch.device, dtype: torch.dtype) -> Batch:
    rows = [tree.prompt + [i for branch in tree.branches for i in branch.ids] for tree in trees]
    width = max(map(len, rows))
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    visible = torch.zeros(len(rows), width, width, dtype=torch.bool)
    causal = torch.ones(width, width, dtype=torch.bool).tril()
    targets: list[tuple[int, int, int, int]] = []
    last: list[tuple[int, int]] = []
    for row, tree in enumerate(trees):
        prompt = len(tree.prompt)
        positions[row, :prompt] = torch.arange(prompt)
        visible[row, :prompt, :prompt] = causal[:prompt, :prompt]
        starts = accumulate((len(branch.ids) for branch in tree.branches), initial=prompt)
        for start, branch in zip(starts, tree.branches, strict=False):
            end = start + len(branch.ids)
            positions[row, start:end] = torch.arange(prompt, prompt + len(branch.ids))
            visible[row, start:end, :prompt] = True
            visible[row, start:end, start:end] = causal[: end - start, : end - start]
            for i in _targets(tree, branch):
                predictor = start + i - 1 if i else prompt - 1
                targets.append((row, predictor, branch.ids[i], len(last)))
            last.append((row, end - 1 if branch.ids else prompt - 1))
    visible |= torch.eye(width, dtype=torch.bool)  # padding sees itself: softmax over nothing is not a number
    mask = torch.zeros(visible.shape, dtype=dtype).masked_fill_(~visible, torch.finfo(dtype).min)
    return _batch(rows, targets, last, positions, mask.unsqueeze(1), device)


def _targets(tree: Tree, branch: Branch) -> list[int]:
    return [i for i, trained in enumerate(branch.trained) if trained and (i or tree.prompt)]


def _batch(
    rows: list[list[int]],
    targets: list[tuple[int, int, int, int]],
    last: list[tuple[int, int]],
    positions: Tensor | None,
    mask: Tensor | None,
    device: torch.device,
) -> Batch:
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    row, column, target, owner = torch.tensor(targets, dtype=torch.long).reshape(-1, 4).unbind(1)
    return Batch(
        ids=ids.to(device),
        positions=None if positions is None else positions.to(device),
        mask=None if mask is None else mask.to(device),
        row=row.to(device),
        column=column.to(device),
        targets=target.to(device),
        owner=owner.to(device),
        last=torch.tensor(last, dtype=torch.long).reshape(-1, 2).to(device),
    )


def shuffled(count: int, epochs: int, seed: int) -> Iterator[list[int]]:
    """The order of `count` rows in each epoch: permutations drawn one after the other from `seed`."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        yield torch.randperm(count, generator=generator).tolist()
