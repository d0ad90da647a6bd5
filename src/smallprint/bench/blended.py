"""The row that averages other rows' runs. In: their systems and folders. Out: its scores and what it costs.

Nothing is written: `smallprint blend` makes a model of such runs; here their score files are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallprint.bench.collect import Cost, Truth, measure_cost, read_run
from smallprint.bench.measure import SeedScores
from smallprint.bench.systems import System
from smallprint.core.config import EvaluationConfig
from smallprint.evaluation.earned import choose_thresholds
from smallprint.families.blend import average, build_stack_of, read_finished, share_weights


def runs_of(system: System, seed: int, first: int) -> list[tuple[System, int]]:
    """Gives what is trained for a seed of a system, and with which seed: itself, or a blend's members, those that are trained once with
    the first seed.
    """
    members = system.members if system.averages else (system,)
    return [(part, first if part.name in system.once else seed) for part in members]


def blend_seed(folders: Sequence[Path], seed: int) -> tuple[SeedScores, Truth]:
    """Gives the mean of the members' logits, thresholds chosen on validation by it, and the truth.

    Raises:
        DataError: The members stand on different examples.
    """
    members = read_finished(folders)
    stack = build_stack_of(share_weights(None, len(members)), members)
    validation, test = (average(stack, [getattr(one, split) for one in members]) for split in ("validation", "test"))
    wanted = EvaluationConfig().threshold
    truth = read_run(folders[0], seed)[1]
    thresholds = choose_thresholds(
        validation.targets, validation.scores, validation.task, wanted, truth.validation_groups
    )
    return SeedScores(seed, validation.scores, test.scores, thresholds), truth


def blended_cost(folders: Sequence[Path]) -> Cost:
    """Gives the sum of what the members of a seed cost; None of what one of them does not know."""
    if not all((folder / "bundle").is_dir() for folder in folders):
        return Cost(None, None, None)
    costs = [measure_cost([folder]) for folder in folders]
    spent = [cost.train_seconds for cost in costs if cost.train_seconds is not None]
    sizes = [cost.size_mb for cost in costs if cost.size_mb is not None]
    rates = [cost.clauses_per_second for cost in costs if cost.clauses_per_second]
    whole = len(spent) == len(costs)
    return Cost(sum(spent) if whole else None, sum(sizes), 1 / sum(1 / rate for rate in rates))
