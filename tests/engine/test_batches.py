"""Cutting and shaping of batches."""

from itertools import combinations, pairwise

import pytest
import torch

from engine.batches import Branch, Tree, collate, micro_batches, shuffled

CPU = torch.device("cpu")


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
    batch = collate([tree, wide], as_trees=True, device=CPU, dtype=torch.float32)
    assert batch.mask is not None
    assert batch.positions is not None
    assert (batch.mask[0, 0] == 0).int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 2, 0]
    assert batch.positions[1].tolist() == [0, 1, 2, 3, 4, 4]
    found = torch.stack([batch.row, batch.column, batch.targets, batch.owner], 1).tolist()
    assert found == [[0, 1, 3, 0], [0, 2, 4, 0], [0, 1, 5, 1], [1, 3, 7, 2], [1, 3, 8, 3]]
    assert batch.last.tolist() == [[0, 3], [0, 4], [1, 4], [1, 5]]


@pytest.mark.parametrize(("as_trees", "last"), [(True, [[0, 1], [0, 2]]), (False, [[0, 1], [1, 2]])])
def test_an_empty_branch_ends_where_its_prompt_does(as_trees: bool, last: list[list[int]]) -> None:
    tree = Tree([1, 2], [Branch.reply([]), Branch.reply([3])])
    batch = collate([tree], as_trees=as_trees, device=CPU, dtype=torch.float32)
    assert batch.last.tolist() == last


def test_single_branches_need_no_mask() -> None:
    batch = collate([Tree([1], [Branch.reply([2])])], as_trees=True, device=CPU, dtype=torch.float32)
    assert batch.mask is None
    assert batch.ids.tolist() == [[1, 2]]


def test_a_first_token_without_a_prompt_cannot_be_predicted() -> None:
    tree = Tree([], [Branch.reply([4, 5]), Branch.reply([6, 7])])
    assert tree.trained == 2
    for as_trees in (True, False):
        batch = collate([tree], as_trees=as_trees, device=CPU, dtype=torch.float32)
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
