from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallprint.data.stratify import Unit, assign_parts

SHARES = [0.7, 0.15, 0.15]


def rows_of(*label_lists):
    return [Unit(1, dict.fromkeys(labels, 1)) for labels in label_lists]


def per_part(units, parts):
    counts = [Counter() for _ in SHARES]
    for unit, part in zip(units, parts, strict=True):
        counts[part].update(unit.labels)
    return counts


def test_label_shares_are_kept():
    rng = np.random.default_rng(0)
    units = rows_of(
        *[[label for label, p in enumerate((0.5, 0.1, 0.03)) if rng.random() < p] or [-1] for _ in range(1000)]
    )
    counts = per_part(units, assign_parts(units, SHARES, 1, whole_groups=False))
    for label, total in Counter(label for unit in units for label in unit.labels).items():
        for part, share in enumerate(SHARES):
            assert abs(counts[part][label] - share * total) <= 1 + 0.02 * total


def test_a_label_of_one_example_is_in_train_even_where_train_is_small():
    units = rows_of([0], [1], *[[2]] * 60)
    for seed in range(5):
        counts = per_part(units, assign_parts(units, [0.1, 0.45, 0.45], seed, whole_groups=False))
        assert counts[0][0] == counts[0][1] == 1


def test_the_seed_decides():
    units = rows_of(*[[i % 3] for i in range(60)])
    made = [assign_parts(units, SHARES, seed, whole_groups=False) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]


def test_parts_are_the_same_on_every_machine():
    units = rows_of(*[[i % 3] for i in range(12)])
    assert assign_parts(units, SHARES, 7, whole_groups=False) == [0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1]
    groups = [Unit(i + 3, {0: i % 4 + 1, 1: 2}) for i in range(8)]
    assert assign_parts(groups, SHARES, 7, whole_groups=True) == [1, 1, 0, 0, 0, 0, 2, 0]


def test_groups_are_placed_so_that_labels_and_rows_are_even():
    rng = np.random.default_rng(3)
    units = []
    for _ in range(40):
        size = int(rng.integers(50, 300))
        units.append(Unit(size, {-1: size, 0: int(rng.integers(1, 20)), 1: int(rng.integers(1, 6))}))
    parts = assign_parts(units, SHARES, 1, whole_groups=True)
    counts, rows = per_part(units, parts), Counter()
    for unit, part in zip(units, parts, strict=True):
        rows[part] += unit.size
    for part, share in enumerate(SHARES):
        assert rows[part] / rows.total() == pytest.approx(share, abs=0.03)
        for label in (0, 1):
            assert counts[part][label] / sum(c[label] for c in counts) == pytest.approx(share, abs=0.05)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.integers(0, 4), st.integers(1, 9), min_size=1), min_size=3, max_size=25),
    st.integers(0, 99),
    st.booleans(),
)
def test_no_part_is_empty(labels, seed, whole_groups):
    """Unless labels are so rare that all units are needed in train."""
    units = [Unit(max(counts.values()), counts | {9: 1}) for counts in labels]
    parts = assign_parts(units, SHARES, seed, whole_groups=whole_groups)
    counts = per_part(units, parts)
    assert set(parts) <= {0, 1, 2}
    assert all(counts[0][label] for unit in units for label in unit.labels)
    spread = Counter(label for unit in units for label in unit.labels)
    if all(count >= 5 for count in spread.values()) and len(units) > len(spread) + 3:
        assert set(parts) == {0, 1, 2}
