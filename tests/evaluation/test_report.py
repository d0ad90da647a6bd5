import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.core.results import ScoredSplit
from smallprint.evaluation.calibration import reliability
from smallprint.evaluation.compare import PairedDifference
from smallprint.evaluation.metrics import compute_metrics
from smallprint.evaluation.parts import Part
from smallprint.evaluation.policy import Promise
from smallprint.evaluation.report import render_report
from smallprint.evaluation.side_by_side import Row

EVIL = "<script>alert('x')</script> <img src=http://evil.example/x onerror=alert(1)> & \x00 \ud800 “q”"
HISTORY = [{"epoch": k, "train/loss": 0.5, "validation/loss": 0.4, "validation/average_precision": 0.6} for k in (0, 1)]
ORDER = ["verdict", "data", "labels", "measures", "curves", "decisions", "errors", "repeat"]


def make(task, n=200, n_labels=8, text=EVIL):
    rng = np.random.default_rng(0)
    if task == "multiclass":
        targets = rng.integers(0, n_labels, n)
        scores = rng.dirichlet(np.ones(n_labels), n) + np.eye(n_labels)[targets] * 0.3
        scores /= scores.sum(axis=1, keepdims=True)
    else:
        n_labels = 1 if task == "binary" else n_labels
        targets = (rng.random((n, n_labels)) < 0.2).astype(np.int8)
        scores = np.clip(targets * 0.4 + rng.random(targets.shape) * 0.6, 0, 1)
    names = ["fair", "unfair <i>"] if task == "binary" else [f"label {k} <i>" for k in range(n_labels)]
    texts = [f"{text} {k}" for k in range(n)]
    return ScoredSplit("test", task, names, texts, targets, scores.astype(np.float32))


def render(scored, **changes):
    metrics = compute_metrics(scored, np.full(scored.scores.shape[1], 0.45))
    arguments = {
        "title": "Unfair <terms>",
        "run": {"config": "a: <b>\n", "command": "smallprint train x", "versions": {"torch": "2.13"}, "seed": 7},
        "data": {"source": "table <1>"},
        "history": HISTORY,
        "validation": replace(metrics, split="validation"),
        "test": metrics,
        "scored": scored,
        "worst": 10,
    }
    return render_report(**(arguments | changes))


class Page(HTMLParser):
    """Tags and attributes of a page, its ids, and whether every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.void = {"meta", "link", "br", "hr", "img"}
        self.tags, self.open, self.attributes = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_one_safe_page_in_reading_order(task):
    html = render(make(task))
    page = Page(html)
    assert html.startswith("<!doctype html>")
    assert page.open == []
    assert not {"script", "img", "iframe", "object", "form", "i", "b"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    assert all(value.startswith(("#", "data:,")) for value in links)
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert [value for value in ids if value in ORDER] == ORDER
    html.encode("utf-8")
    assert "\x00" not in html
    assert "default-src 'none'" in html
    assert "&lt;script&gt;alert" in html
    assert "None" not in re.sub(r"None are shown", "", html)
    assert "nan" not in re.sub(r"[a-z]+nan|nan[a-z]+", "", html.lower())


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            "binary",
            ["The task is binary: “unfair &lt;i&gt;” or “fair”", "always “unfair &lt;i&gt;”", "a threshold tuned"],
        ),
        (
            "multiclass",
            ["gets one of 8 labels", "the most frequent label", "by its highest score", "Most confused labels"],
        ),
        ("multilabel", ["any of 8 labels, or none", "every label for every text", "8 labels and “none” (9 columns)"]),
    ],
)
def test_the_verdict_says_task_score_floor_and_uncertainty(task, said):
    scored = make(task)
    html = render(scored)
    metrics = compute_metrics(scored, np.full(scored.scores.shape[1], 0.45))
    name = {"binary": "f1", "multiclass": "accuracy", "multilabel": "f1_macro"}[task]
    verdict = " ".join(re.sub(r"<[^>]+>", " ", html[: html.index('id="data"')]).split())
    for words in [*said[:3], f"{metrics.values[name]:.3f}", "On 200 test examples", "resamples of 200 examples"]:
        assert words in verdict or words in html, words
    assert "The score of a single run has an uncertainty." in verdict
    assert "Better than any constant answer." in verdict
    assert all(words in html for words in said)


def test_the_verdict_admits_that_nothing_was_learned():
    scored = make("multilabel")
    blind = replace(scored, scores=np.random.default_rng(1).random(scored.scores.shape).astype(np.float32))
    nearly_all = compute_metrics(blind, np.full(8, 0.02))
    assert "Not shown to be better than a constant answer." in render(blind, test=nearly_all)
    assert "Worse than a constant answer." in render(replace(scored, scores=scored.scores * 0))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "Better than a linear baseline."),
        (-0.2, -0.01, "Worse than a linear baseline."),
        (-0.1, 0.1, "Not shown to differ from a linear baseline."),
    ],
)
def test_the_verdict_leads_with_the_linear_baseline_where_there_is_one(low, high, said):
    middle = (low + high) / 2
    row = Row("f1", 0.5, 0.5 + middle, PairedDifference(middle, low, high, 0.04, 200, False, 0.95, 2000))
    html = render(make("binary"), baseline=row)
    heading = html[html.index('<h2 id="verdict">') : html.index("</h2>")]
    assert said in heading
    assert ("The baseline costs less" in html) == ("Better" not in said)


def test_what_each_part_adds_is_told_where_there_is_something_to_tell():
    assert 'id="parts"' not in render(make("binary"))
    gap = {"p": 0.01, "units": 30, "over_groups": True, "level": 0.95, "resamples": 10}
    steps = [
        Row("words <b>alone", 0.5, 0.6, PairedDifference(0.1, 0.01, 0.2, **gap)),
        Row("at threshold 0.5", 0.58, 0.6, PairedDifference(0.02, -0.01, 0.05, **gap)),
    ]
    member = Part("linear <i>", 0.7, 0.61, 0.8, 0.75, -0.01, 0.11, 50, True, 7807)
    sweep = {"trials": 20, "judged_by": "the validation split", "verdict": "Not better.", "weighed": True}
    sweep["rows"] = [
        {"key": "model.svm.cost", "before": "5", "here": "9.1", "share": 0.7},
        {"key": "model.head", "before": "svm", "here": "svm", "share": None},
    ]
    members = [member, replace(member, name="svm", without=0.81, low=None)]
    html = render(make("binary"), steps=steps, members=members, sweep=sweep)
    page = Page(html)
    assert page.open == []
    assert '+0.100</td><td>+0.010 to +0.200</td><td class="words">yes' in html
    assert '+0.020</td><td>-0.010 to +0.050</td><td class="words">no<' in html
    assert "words &lt;b&gt;alone" in html
    assert "7,807 examples" in html
    assert "its 95% interval over 50 groups" in html
    assert "-0.010</td>" in html  # a member without which the others do better
    assert "best of 20 trials" in html
    assert "70%" in html
    assert 'id="parts"' in render(make("multilabel"), sweep={**sweep, "weighed": False})


def test_evidence_is_marked_in_what_is_quoted_and_stays_text():
    scored = make("binary", text="<b>we</b> may & end")
    wrong = int(np.flatnonzero((scored.scores[:, 0] >= 0.45) != scored.targets[:, 0])[0])
    html = render(scored, worst=1000, evidence={wrong: [(3, 5), (4, 6), (10, 13), (900, 990)]})
    assert "<mark>we</mark>&lt;/b&gt; <mark>may</mark> &amp; end" in html
    assert html.count("<mark>") == 2
    assert "the words without which the score would fall most" in html


def test_workload_thresholds_confusion_and_doubtful_texts_are_shown():
    for task, said in (
        ("binary", "Confusion"),
        ("multilabel", "Which labels are taken for which"),
        ("multiclass", "Confusion"),
    ):
        html = render(make(task), doubtful=4)
        assert said in html
        assert html.count("in doubt: ") == 4
        assert ("<h3>Thresholds</h3>" in html) == (task != "multiclass")
        assert "a person reads" in html
    promise = Promise("recall", 0.9, 0.95, 0.2, 0.92, 0.96, 0.7, 12)
    html = render(make("binary"), promises=[promise, replace(promise, wanted=0.95, border=None)])
    assert "<td>30.0%</td>" in html
    assert "all: no border keeps it" in html


def test_groups_are_said():
    html = render(make("binary"), data={"test_groups": [k // 20 for k in range(200)]})
    assert "resamples of 10 groups" in " ".join(html.split())
    assert "again from so few groups" in html
    with pytest.raises(DataError, match="group values"):
        render(make("binary"), data={"test_groups": ["d"]})


def test_everything_optional_may_be_missing():
    html = render(make("multilabel", n=30), run={}, data={}, history=[], worst=0)
    assert "No epochs were recorded." in html
    assert "None are shown." in html
    assert Page(html).open == []


def test_labels_without_examples_and_a_single_example_do_no_harm():
    scored = make("multilabel", n=30)
    scored.targets[:, 2:] = 0
    assert Page(render(scored)).open == []
    html = render(make("multilabel", n=1))
    assert "too few examples" in html


def test_worst_errors_are_quoted_up_to_the_number():
    html = render(make("multilabel"), worst=6)
    assert html.count("<blockquote") == 6
    assert html.index("False positives") < html.index("False negatives")


def test_many_labels_fold_and_the_weakest_stand_first():
    scored = make("multiclass", n=600, n_labels=77)
    scored.scores[::2] = scored.scores[::-2]  # half of the answers are those of other texts
    html = render(scored)
    assert "All 77 labels, lowest F1 first" in html
    values = [float(value) for value in re.findall(r'class="bar" style="--share: ([\d.]+)"', html)]
    assert len(values) == 77
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_fixed_thresholds_are_called_so():
    scored = make("multilabel")
    html = render(scored, test=compute_metrics(scored, np.full(8, 0.5)))
    assert "at threshold 0.5." in html
    assert "Thresholds were chosen on validation" not in html


@pytest.mark.parametrize(
    ("task", "entries"),
    [("binary", "200 texts"), ("multiclass", "1,600 pairs of text and label"), ("multilabel", "1,600 pairs of text")],
)
def test_reliability_has_its_numbers_and_says_what_they_are(task, entries):
    scored = make(task)
    html = render(scored)
    section = html[html.index("<h3>Reliability") : html.index('id="errors"')]
    caption = " ".join(section[section.index("<figcaption") : section.index("</figcaption")].split())
    assert f"Test split: {entries}" in caption
    assert "in 15 bins of equal mass" in caption
    truth = np.eye(8)[scored.targets] if task == "multiclass" else scored.targets
    rows = re.findall(r'row">\d+</th><td>([\d.]+)</td><td>([\d.]+)</td><td>([-+][\d.]+)</td><td>([\d,]+)', section)
    found = reliability(truth, scored.scores)
    assert rows == [
        (f"{b.mean_score:.4f}", f"{b.share_true:.4f}", f"{b.share_true - b.mean_score:+.4f}", f"{b.entries:,}")
        for b in found
    ]


def test_calibrated_scores_are_called_so():
    raw, calibrated = render(make("binary")), render(make("binary"), calibrated=True)
    assert "Scores are as the model gives them." in raw
    assert "calibrated on" not in raw
    assert "Scores were calibrated on examples that the model did not learn from." in calibrated
    assert "Scores were calibrated on validation, so validation’s calibration error" in calibrated


def test_it_stays_small():
    html = render(make("multilabel", n=3000, text="&" * 3000), worst=1000)  # each escaped to five characters
    assert html.count("<blockquote") > 900
    assert len(html.encode()) < 3_000_000


def test_the_same_run_gives_the_same_bytes():
    assert render(make("multilabel")) == render(make("multilabel"))


def test_misfits_are_errors():
    scored = make("binary")
    with pytest.raises(DataError, match="texts"):
        render(replace(scored, texts=[]))
    with pytest.raises(DataError, match="metrics of 5"):
        render(scored, test=replace(compute_metrics(scored, np.array([0.5])), n_examples=5))
    with pytest.raises(DataError, match="Thresholds"):
        render(scored, test=replace(compute_metrics(scored, np.array([0.5])), per_label=[]))
