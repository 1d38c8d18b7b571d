"""Rows of tokens, and how they become tensors.

A `Tree` is a prompt with one or more replies. A `Layout` says how trees are laid out for the model:

tree    a row for each prompt, `prompt | reply 1 | … | reply k`: the positions of each reply go on from the
        prompt's, and a mask lets a reply see the prompt and itself. The prompt is computed once.
padded  a row for each reply, with its prompt, filled up to the longest.
packed  the same rows one after the other in a single one, without padding: positions start anew with each,
        from which the model's attention knows where one ends (transformers makes a block-diagonal mask of
        them, or for flash attention the sequences' bounds).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Layout = Literal["tree", "padded", "packed"]
PROMPT, PADDING = -1, -2  # in the place of a branch's number


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

    def tokens(self, layout: Layout) -> int:
        """How many tokens of a micro-batch it takes up, its own padding included."""
        if layout == "tree":
            return self.length
        if layout == "padded":
            return self.longest * len(self.branches)
        return self.length + len(self.prompt) * (len(self.branches) - 1)

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
        ways: list[tuple[float, int]] = []
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


def collate(trees: Sequence[Tree], *, layout: Layout, device: torch.device, dtype: torch.dtype) -> Batch:
    """Tensors on `device` for `trees`; `dtype` is the attention mask's.

    Trees of one branch each need no mask of their own: in the tree layout they are padded rows.
    """
    if layout == "tree" and any(len(tree.branches) > 1 for tree in trees):
        return _collate_trees(trees, device, dtype)
    return _collate_sequences(trees, device, packed=layout == "packed")


def _collate_sequences(trees: Sequence[Tree], device: torch.device, *, packed: bool) -> Batch:
    sequences = [(tree, branch) for tree in trees for branch in tree.branches]
    rows: list[list[int]] = [[]] if packed else []
    positions: list[int] = []
    targets: list[tuple[int, int, int, int]] = []
    last: list[tuple[int, int]] = []
    for owner, (tree, branch) in enumerate(sequences):
        if not packed:
            rows.append([])
        row, start = len(rows) - 1, len(rows[-1])
        rows[row] += tree.prompt + branch.ids
        positions += range(len(rows[row]) - start)
        first = start + len(tree.prompt)
        targets += [(row, first + i - 1, branch.ids[i], owner) for i in _targets(tree, branch)]
        last.append((row, len(rows[row]) - 1))
    return _batch(rows, targets, last, torch.tensor([positions]) if packed else None, None, device)


def _collate_trees(trees: Sequence[Tree], device: torch.device, dtype: torch.dtype) -> Batch:
    rows = [tree.prompt + [i for branch in tree.branches for i in branch.ids] for tree in trees]
    width = max(map(len, rows))
    positions, branches = [], []
    targets: list[tuple[int, int, int, int]] = []
    last: list[tuple[int, int]] = []
    for row, tree in enumerate(trees):
        prompt = end = len(tree.prompt)
        places, numbers = [*range(prompt)], [PROMPT] * prompt
        for number, branch in enumerate(tree.branches):
            start, end = end, end + len(branch.ids)
            places += range(prompt, prompt + len(branch.ids))
            numbers += [number] * len(branch.ids)
            for i in _targets(tree, branch):
                targets.append((row, start + i - 1 if i else prompt - 1, branch.ids[i], len(last)))
            last.append((row, end - 1 if branch.ids else prompt - 1))
        positions.append(places + [0] * (width - end))
        branches.append(numbers + [PADDING] * (width - end))
    mask = _branch_mask(torch.tensor(branches, device=device), dtype)
    return _batch(rows, targets, last, torch.tensor(positions), mask, device)


def _branch_mask(branches: Tensor, dtype: torch.dtype) -> Tensor:
    """Which tokens see which, (R, 1, T, T), additive, from the number of each token's branch (R, T).

    A token sees the prompt's and its own branch's before it, and itself. Padding is a branch of its own:
    softmax over nothing is not a number.
    """
    width = branches.shape[1]
    same = branches[:, :, None] == branches[:, None, :]
    earlier = torch.ones(width, width, dtype=torch.bool, device=branches.device).tril()
    visible = earlier & (same | (branches == PROMPT)[:, None, :])
    mask = torch.zeros(visible.shape, dtype=dtype, device=branches.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min).unsqueeze(1)


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
        mask=mask,
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
