"""What each member of a stack adds: the useful one much, its copy and noise nothing; and nothing is said that cannot be."""

import numpy as np
import pytest

from smallprint.core.config import Config
from smallprint.core.run import Run
from smallprint.evaluation.parts import leave_each_out
from smallprint.evaluation.ranking import average_precision_macro
from smallprint.evaluation.stack import fit_stack
from smallprint.papers import swept


def members(task, n=400):
    rng = np.random.default_rng(0)
    if task == "multiclass":
        targets = rng.integers(0, 3, n)
        noise = rng.dirichlet(np.ones(3), n)
        good = 0.6 * np.eye(3)[targets] + 0.4 * rng.dirichlet(np.ones(3), n)
        return targets, [good, noise]
    targets = (rng.random((n, 1 if task == "binary" else 3)) < 0.2).astype(np.int8)
    scores = [
        np.clip(strength * targets + (1 - strength) * rng.random(targets.shape), 0.01, 0.99) for strength in (0.4, 0.0)
    ]
    return targets, scores


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_useful_member_adds_and_noise_does_not(task):
    targets, scores = members(task)
    stack = fit_stack(scores, targets, task)
    good, noise = leave_each_out(["good", "noise"], scores, targets, stack, range(len(targets)), False)
    assert good.low > 0.1
    assert good.whole - good.without > 0.1
    assert noise.low <= 0.01
    assert abs(noise.whole - noise.without) < 0.01
    assert good.alone == pytest.approx(average_precision_macro(targets, scores[0]))
    other = fit_stack(scores[1:], targets, task).apply(scores[1:])
    assert good.without == pytest.approx(average_precision_macro(targets, other))
    assert good.whole == pytest.approx(average_precision_macro(targets, stack.apply(scores)))
    assert (good.weight, noise.weight) == tuple(stack.weights)
    assert (good.examples, good.units, good.over_groups) == (400, 400, False)


def test_copies_stand_in_for_each_other():
    targets, (good, noise) = members("multilabel")
    scores = [good, good.copy(), noise]
    stack = fit_stack(scores, targets)
    parts = leave_each_out(["one", "copy", "noise"], scores, targets, stack, range(len(targets)), False)
    assert all(abs(part.whole - part.without) < 0.01 for part in parts)


def test_documents_are_drawn_whole_and_one_has_no_interval(monkeypatch):
    targets, scores = members("multilabel")
    stack = fit_stack(scores, targets)
    groups = [i // 40 for i in range(400)]
    found = leave_each_out(["a", "b"], scores, targets, stack, groups, True)
    assert (found[0].units, found[0].over_groups) == (10, True)
    alone = leave_each_out(["a", "b"], scores, targets, stack, ["one"] * 400, True)
    assert (alone[0].low, alone[0].high) == (None, None)
    assert alone[0].without == found[0].without
    monkeypatch.setattr("smallprint.evaluation.parts.MOST_CELLS", 1000)
    assert leave_each_out(["a", "b"], scores, targets, stack, groups, True)[0].low is None
    assert leave_each_out(["a"], scores[:1], targets, fit_stack(scores[:1], targets), groups, True) == []


@pytest.mark.parametrize("content", ["[1, 2]", '{"method": "bayes"}', "method: bayes", '{"verdict": 1, "run": 7}'])
def test_another_programs_sweep_file_beside_a_run_tells_nothing(content, tmp_path):
    (tmp_path / "sweep.json").write_text(content)
    assert swept(Run(tmp_path / "run", Config())) is None
