"""The claim is only as good as its interval."""

from dataclasses import asdict

import numpy as np
import pytest

from smallprint.sweep.claim import compare_seeds
from smallprint.sweep.judge import Judged
from smallprint.sweep.result import verdict


def judged(rng, truth, noise):
    return [Judged(np.arange(len(truth)), truth, (truth + noise * rng.normal(size=truth.shape)).astype(np.float32))]


def test_a_clear_winner_is_better_and_equals_are_not():
    rng = np.random.default_rng(1)
    truth = (rng.random((300, 3)) < 0.2).astype(np.int8)
    groups = [f"g{i % 40}" for i in range(300)]
    good, bad, also = ([judged(rng, truth, noise) for _ in range(3)] for noise in (0.4, 1.2, 0.4))
    claim = compare_seeds(good, bad, groups)
    assert claim.better
    assert (claim.seeds, claim.units, claim.over_groups) == (3, 40, True)
    assert claim.low < claim.difference < claim.high
    assert not compare_seeds(bad, good, groups).better
    assert not compare_seeds(also, good, groups).better
    assert compare_seeds(good, good, [None] * 300).difference == 0


def test_of_two_equal_systems_hardly_more_than_one_in_forty_is_called_better():
    called = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = (rng.random((150, 1)) < 0.3).astype(np.int8)
        one, other = ([judged(rng, truth, 0.8) for _ in range(3)] for _ in range(2))
        called += compare_seeds(one, other, [None] * 150, seed).better
    assert called <= 6


@pytest.mark.parametrize(
    ("seeds", "groups", "can_tell"), [(1, 40, False), (3, 1, False), (3, 5, False), (2, 6, True), (1, 1, False)]
)
def test_of_one_seed_or_a_handful_of_groups_neither_better_nor_worse_is_said(seeds, groups, can_tell):
    rng = np.random.default_rng(1)
    truth = (rng.random((300, 3)) < 0.2).astype(np.int8)
    good, bad = ([judged(rng, truth, noise) for _ in range(seeds)] for noise in (0.4, 1.2))
    names = [f"g{i % groups}" for i in range(300)]
    for winner, default, word in ((good, bad, "better"), (bad, good, "worse")):
        claim = compare_seeds(winner, default, names)
        assert (claim.low > 0) == (word == "better")
        assert claim.better == (can_tell and word == "better")
        told = verdict({"difference": {**asdict(claim), "level": 0.95, "better": claim.better}})
        if can_tell:
            assert told.startswith(f"The winner is {word} than the defaults: {claim.difference:+.4f}")
        else:
            assert "better than the defaults cannot be told from fewer than 2 seeds or 6 groups: " in told
            assert f"{claim.difference:+.4f}" in told
