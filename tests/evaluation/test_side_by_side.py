from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.compare import f1_counts, macro_f1_of, paired_bootstrap
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.side_by_side import align_labels, compare_lead, compare_splits
from smallprint.evaluation.side_by_side_page import render_comparison, tell_comparison, verdict

HALF = {"binary": np.full(1, 0.5), "multiclass": np.full(4, 0.5), "multilabel": np.full(4, 0.5)}


def pair(task, n=200, better=0.5, seed=0):
    """Two models of the same examples; the second hears the truth `better` louder."""
    rng = np.random.default_rng(seed)
    names = ["no <i>", "yes"] if task == "binary" else [f"label {k} <i>" for k in range(4)]
    texts = [f"<script>alert({k})</script>" for k in range(n)]
    if task == "multiclass":
        targets = rng.integers(0, 4, n)
        truth = np.eye(4)[targets]
    else:
        targets = (rng.random((n, 1 if task == "binary" else 4)) < 0.3).astype(np.int8)
        truth = targets.astype(float)
    noise = [rng.random(truth.shape) for _ in range(2)]
    scores = [
        np.clip(truth * loud + part * (1 - loud), 0, 1) for loud, part in zip((0.3, 0.3 + better), noise, strict=True)
    ]
    if task == "multiclass":
        scores = [part / part.sum(axis=1, keepdims=True) for part in scores]
    return tuple(ScoredSplit("test", task, names, texts, targets, part.astype(np.float32)) for part in scores)


@pytest.mark.parametrize("task", list(HALF))
def test_values_are_those_of_metrics_and_the_better_one_is_said_so(task):
    a, b = pair(task)
    found = compare_splits(a, b, (HALF[task], HALF[task]))
    for row in found.measures:
        assert row.a == pytest.approx(compute_metrics(a, HALF[task]).values[row.measure])
        assert row.b == pytest.approx(compute_metrics(b, HALF[task]).values[row.measure])
    assert found.lead.measure == {"binary": "f1", "multiclass": "accuracy", "multilabel": "f1_macro"}[task]
    assert found.lead.verdict == "B"
    assert compare_lead(a, b, (HALF[task], HALF[task])) == found.lead
    of_one = compare_lead(a, b, (HALF[task], HALF[task]), ["one"] * len(a.texts))
    assert of_one == replace(found.lead, paired=None)
    assert of_one.verdict == ""
    assert verdict(found, "old", "new").startswith("new is better than old")
    turned = compare_splits(b, a, (HALF[task], HALF[task]))
    assert turned.lead.verdict == "A"
    assert turned.lead.paired.high == pytest.approx(-found.lead.paired.low, abs=0.02)


def test_the_interval_is_the_paired_one_over_groups():
    a, b = pair("multilabel")
    groups = [k // 10 for k in range(200)]
    found = compare_splits(a, b, (HALF["multilabel"],) * 2, groups)
    counts = [f1_counts(a.targets, (each.scores >= 0.5).astype(int)) for each in (a, b)]
    assert found.lead.paired == paired_bootstrap(*counts, macro_f1_of, groups=groups)
    assert (found.units, found.over_groups) == (20, True)


def test_nothing_is_better_where_the_interval_holds_zero_or_groups_are_few():
    a, b = pair("multilabel", better=0.0)
    found = compare_splits(a, b, (HALF["multilabel"],) * 2)
    assert found.lead.verdict == ""
    assert verdict(found, "a", "b").startswith("Neither is shown to be better")
    a, b = pair("multilabel")
    few = compare_splits(a, b, (HALF["multilabel"],) * 2, [k // 40 for k in range(200)])
    assert few.lead.paired.low > 0
    assert few.lead.verdict == ""


def test_differing_examples_are_those_that_differ_furthest_apart_first():
    a, b = pair("multiclass", better=0.1)
    found = compare_splits(a, b, (HALF["multiclass"],) * 2, most=1000)
    said_a, said_b = a.scores.argmax(axis=1), b.scores.argmax(axis=1)
    rows = np.flatnonzero(said_a != said_b)
    assert sorted(each.row for each in found.examples) == rows.tolist()
    assert [each.gap for each in found.examples] == sorted((each.gap for each in found.examples), reverse=True)
    right = np.count_nonzero(said_b[rows] == a.targets[rows])
    assert found.differing["B right, A wrong"] == right > 0
    assert sum(found.differing.values()) == len(rows)
    for each in found.examples[:10]:
        assert each.truth == [a.label_names[a.targets[each.row]]]
        assert each.a == [a.label_names[said_a[each.row]]]
    assert len(compare_splits(a, b, (HALF["multiclass"],) * 2, most=3).examples) == 3


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_labels_in_another_order_are_put_in_order(task):
    a, _ = pair(task)
    order = [2, 0, 3, 1]
    targets = np.argsort(order)[a.targets] if task == "multiclass" else a.targets[:, order]
    other = replace(a, label_names=[a.label_names[k] for k in order], scores=a.scores[:, order], targets=targets)
    limits = np.array([0.1, 0.2, 0.3, 0.4])
    back, moved = align_labels(a, other, limits[order])
    assert back.label_names == a.label_names
    assert (back.targets == a.targets).all()
    assert moved.tolist() == limits.tolist()
    found = compare_splits(a, other, (limits, limits[order]))
    assert sum(found.differing.values()) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda s: replace(s, texts=s.texts[1:], targets=s.targets[1:], scores=s.scores[1:]),
            "A has 200 rows, B 199, and 199",
        ),
        (lambda s: replace(s, texts=s.texts[::-1]), "the same texts in another order"),
        (lambda s: replace(s, targets=1 - s.targets), "200 of 200 rows are labelled otherwise"),
        (lambda s: replace(s, label_names=["x", *s.label_names[1:]]), "only A has label 0 <i>; only B has x"),
        (lambda s: pair("multiclass")[0], "A is multilabel, B is multiclass"),
    ],
)
def test_other_examples_are_refused_and_what_differs_is_said(change, said):
    a, b = pair("multilabel")
    with pytest.raises(DataError, match=said):
        compare_splits(a, change(b), (HALF["multilabel"],) * 2)


def test_models_of_other_labels_are_not_sent_to_data():
    a, b = pair("multilabel")
    with pytest.raises(DataError, match="do not know the same labels") as caught:
        compare_splits(a, replace(b, label_names=["x", *b.label_names[1:]]), (HALF["multilabel"],) * 2)
    assert "--data neither" in str(caught.value)


def test_the_other_positive_label_is_refused():
    a, b = pair("binary")
    with pytest.raises(DataError, match="positive label is another"):
        compare_splits(a, replace(b, label_names=b.label_names[::-1]), (HALF["binary"],) * 2)


@pytest.mark.parametrize("task", list(HALF))
def test_the_page_and_the_lines(task):
    a, b = pair(task)
    found = compare_splits(a, b, (HALF[task],) * 2, most=5)
    html = render_comparison(found, {"name": "<old>", "seed": 1, "versions": {"torch": "2"}}, {"name": "new"})
    assert html.count("<blockquote") == len(found.examples) > 0
    assert "<script>" not in html
    assert "<old>" not in html
    assert "new is better than &lt;old&gt;" in html
    assert len(html) < 1_000_000

    class Tags(HTMLParser):
        open, void = [], {"meta", "link"}

        def handle_starttag(self, tag, attrs):
            if tag not in self.void:
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    Tags().feed(html)
    assert Tags.open == []
    lines = tell_comparison(found, "old", "new")
    assert lines[-1].startswith("new is better than old")


def test_json_holds_no_text_and_who_is_better():
    a, b = pair("multilabel")
    tree = compare_splits(a, b, (HALF["multilabel"],) * 2).to_dict()
    assert "script" not in str(tree)
    assert tree["measures"][0]["better"] == "B"
    assert {"low", "high", "p"} <= tree["measures"][0]["paired"].keys()
