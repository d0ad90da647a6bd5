import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.core.errors import DataError
from smallprint.data.labels import LabelSet

NAMES = ["a", "b", "c"]


@st.composite
def label_sets(draw):
    task = draw(st.sampled_from(["binary", "multiclass", "multilabel"]))
    fewest, most = {"binary": (2, 2), "multiclass": (2, 6), "multilabel": (1, 6)}[task]
    names = draw(st.lists(st.text(min_size=1, max_size=5), min_size=fewest, max_size=most, unique=True))
    one = st.sets(st.integers(0, len(names) - 1), **({} if task == "multilabel" else {"min_size": 1, "max_size": 1}))
    rows = draw(st.lists(one, max_size=8))
    return LabelSet(task, names), [[names[i] for i in sorted(row)] for row in rows]


@given(label_sets())
def test_decoding_reverses_encoding(drawn):
    labels, lists = drawn
    targets = labels.encode(lists)
    assert labels.decode_targets(targets) == lists
    scores = np.eye(labels.n_outputs)[targets] if labels.task == "multiclass" else targets.astype(np.float32)
    assert labels.decode(scores, np.full(labels.n_outputs, 0.5)) == lists


@pytest.mark.parametrize(
    ("task", "names", "lists", "targets", "dtype"),
    [
        ("multilabel", NAMES, [["c", "a"], []], [[1, 0, 1], [0, 0, 0]], np.int8),
        ("binary", ["no", "yes"], [["yes"], ["no"]], [[1], [0]], np.int8),
        ("multiclass", NAMES, [["c"], ["a"]], [2, 0], np.int64),
    ],
)
def test_targets_have_the_agreed_shape_and_type(task, names, lists, targets, dtype):
    made = LabelSet(task, names).encode(lists)
    assert made.tolist() == targets
    assert made.dtype == dtype


@pytest.mark.parametrize(
    ("task", "names", "shape"),
    [("multilabel", NAMES, (0, 3)), ("binary", NAMES[:2], (0, 1)), ("multiclass", NAMES, (0,))],
)
def test_no_examples_keep_their_shape(task, names, shape):
    labels = LabelSet(task, names)
    assert labels.encode([]).shape == shape
    assert labels.decode(np.zeros((0, labels.n_outputs)), np.zeros(labels.n_outputs)) == []


def test_outputs_are_one_for_binary_and_one_a_label_otherwise():
    assert (LabelSet("binary", ["no", "yes"]).score_names, LabelSet("binary", ["no", "yes"]).n_outputs) == (["yes"], 1)
    assert (LabelSet("multiclass", NAMES).score_names, LabelSet("multilabel", NAMES).n_outputs) == (NAMES, 3)


def test_a_score_at_its_threshold_counts():
    scores, thresholds = np.array([[0.3, 0.5, 0.9]]), np.array([0.31, 0.5, 0.95])
    assert LabelSet("multilabel", NAMES).decode(scores, thresholds) == [["b"]]
    assert LabelSet("binary", ["no", "yes"]).decode(np.array([[0.2], [0.1]]), np.array([0.2])) == [["yes"], ["no"]]
    assert LabelSet("multiclass", NAMES).decode(scores, thresholds) == [["c"]]


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_an_unknown_label_is_named_with_the_nearest_and_the_rows(task):
    with pytest.raises(DataError, match=r"'lates' is not known \(2 rows\)(.|\n)*Did you mean 'late'"):
        LabelSet(task, ["late", "rude"]).encode([["lates"], ["lates"], ["rude"]])


@pytest.mark.parametrize("bad", [[], ["a", "b"]])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_single_label_tasks_need_exactly_one(task, bad):
    with pytest.raises(DataError, match="1 examples without exactly one label, first example 1"):
        LabelSet(task, ["a", "b"]).encode([["a"], bad])


@pytest.mark.parametrize(
    ("task", "names"),
    [("binary", NAMES), ("binary", ["a"]), ("multiclass", ["a"]), ("multilabel", []), ("multilabel", ["a", "a"])],
)
def test_names_that_do_not_fit_the_task_are_an_error(task, names):
    with pytest.raises(DataError):
        LabelSet(task, names)
