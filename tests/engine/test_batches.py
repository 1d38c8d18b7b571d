"""Cutting and shaping of batches."""

from itertools import combinations, pairwise
from typing import get_args

import pytest
import torch

from engine.batches import Branch, Layout, Tree, collate, micro_batches, shuffled

CPU = torch.device("cpu")
LAYOUTS: tuple[Layout, ...] = get_args(Layout)


def test_micro_batches_are_of_like_length_and_within_the_budget() -> None:
    lengths = [10, 100, 12, 90, 300, 11]
    groups = micro_batches(range(6), lengths, 200)
    assert groups == [[4], [1, 3], [2, 5, 0]]
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= 200


def test_no_other_cut_of_like_lengths_is_cheaper() -> None:
    lengths, budget = [100, 60, 99, 98, 31, 30, 29, 250], 400
    order = sorted(range(8), key=lambda i: -lengths[i])

    def cost(groups: list[list[int]]) -> float:
        if any(len(group) * lengths[group[0]] > budget for group in groups):
            return float("inf")
        return sum(len(group) * lengths[group[0]] + budget / 16 for group in groups)

    ways = (
        [order[a:b] for a, b in pairwise([0, *cuts, 8])]
        for n in range(8)
        for cuts in combinations(range(1, 8), n)
    )
    groups = micro_batches(range(8), lengths, budget)
    assert cost(groups) == min(map(cost, ways))
    assert [100, 99, 98] in [[lengths[i] for i in group] for group in groups]  # not with the 60


def test_the_mask_shows_each_branch_its_prompt_and_itself() -> None:
    tree = Tree([1, 2], [Branch.reply([3, 4]), Branch.reply([5])])
    wide = Tree([6] * 4, [Branch.reply([7]), Branch.reply([8])])
    batch = collate([tree, wide], layout="tree", device=CPU, dtype=torch.float32)
    assert batch.mask is not None
    assert batch.positions is not None
    assert (batch.mask[0, 0] == 0).int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],  # padding: nobody sees it, and it must see something
    ]
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 2, 0]
    assert batch.positions[1].tolist() == [0, 1, 2, 3, 4, 4]
    found = torch.stack([batch.row, batch.column, batch.targets, batch.owner], 1).tolist()
    assert found == [[0, 1, 3, 0], [0, 2, 4, 0], [0, 1, 5, 1], [1, 3, 7, 2], [1, 3, 8, 3]]
    assert batch.last.tolist() == [[0, 3], [0, 4], [1, 4], [1, 5]]


@pytest.mark.parametrize(
    ("layout", "last"),
    [("tree", [[0, 1], [0, 2]]), ("padded", [[0, 1], [1, 2]]), ("packed", [[0, 1], [0, 4]])],
)
def test_an_empty_branch_ends_where_its_prompt_does(layout: Layout, last: list[list[int]]) -> None:
    tree = Tree([1, 2], [Branch.reply([]), Branch.reply([3])])
    batch = collate([tree], layout=layout, device=CPU, dtype=torch.float32)
    assert batch.last.tolist() == last


def test_packed_rows_follow_one_another_and_positions_start_anew() -> None:
    trees = [
        Tree([1, 2], [Branch.reply([3, 4]), Branch.reply([5])]),
        Tree([6], [Branch([7, 8], [False, True])]),
    ]
    batch = collate(trees, layout="packed", device=CPU, dtype=torch.float32)
    assert batch.ids.tolist() == [[1, 2, 3, 4, 1, 2, 5, 6, 7, 8]]
    assert batch.positions is not None
    assert batch.positions.tolist() == [[0, 1, 2, 3, 0, 1, 2, 0, 1, 2]]
    assert batch.mask is None
    found = torch.stack([batch.row, batch.column, batch.targets, batch.owner], 1).tolist()
    assert found == [[0, 1, 3, 0], [0, 2, 4, 0], [0, 5, 5, 1], [0, 8, 8, 2]]
    assert batch.last.tolist() == [[0, 3], [0, 6], [0, 9]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tree_takes_up_the_tokens_that_collate_makes_of_it(layout: Layout) -> None:
    tree = Tree([1] * 5, [Branch.reply([2] * 3), Branch.reply([3] * 7), Branch.reply([4])])
    batch = collate([tree], layout=layout, device=CPU, dtype=torch.float32)
    assert tree.tokens(layout) == batch.ids.numel()


def test_single_branches_need_no_mask() -> None:
    batch = collate([Tree([1], [Branch.reply([2])])], layout="tree", device=CPU, dtype=torch.float32)
    assert batch.mask is None
    assert batch.ids.tolist() == [[1, 2]]


def test_a_first_token_without_a_prompt_cannot_be_predicted() -> None:
    tree = Tree([], [Branch.reply([4, 5]), Branch.reply([6, 7])])
    assert tree.trained == 2
    for layout in LAYOUTS:
        batch = collate([tree], layout=layout, device=CPU, dtype=torch.float32)
        assert batch.targets.tolist() == [5, 7]
        assert batch.owner.tolist() == [0, 1]


def test_lengths() -> None:
    tree = Tree([1] * 5, [Branch.reply([2] * 3), Branch([3] * 7, [False] * 6 + [True])])
    assert (tree.length, tree.longest, tree.trained) == (15, 12, 4)


@pytest.mark.parametrize("seed", [0, 7])
def test_each_epoch_is_a_permutation_of_its_own(seed: int) -> None:
    first, second = shuffled(50, 2, seed)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first == torch.randperm(50, generator=torch.Generator().manual_seed(seed)).tolist()
