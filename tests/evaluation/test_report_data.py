from dataclasses import replace

from smallprint.core.results import LabelMetrics, Metrics
from smallprint.evaluation.report_data import summarise_data, tell_data


def metrics(split, n, **support):
    rows = [LabelMetrics(label, count, 0, 0.0, 0.0, 0.0, 0.0, 0.5) for label, count in support.items()]
    return Metrics(split, "multilabel", n, {}, rows)


NAMES = ["a", "b"]
VALIDATION, TEST = metrics("validation", 20, a=3, b=0), metrics("test", 30, a=5, b=1)


ONE = metrics("test", 10, yes=4)


def test_an_empty_summary_is_filled_from_the_metrics():
    found = summarise_data({}, NAMES, VALIDATION, TEST)
    assert found.splits == ["validation", "test"]
    assert found.rows == {"validation": 20, "test": 30}
    assert found.support == {"a": {"validation": 3, "test": 5}, "b": {"validation": 0, "test": 1}}
    assert found.facts == []


def test_rows_and_support_per_split_in_either_shape():
    flat = {"rows": {"train": 100}, "support": {"train": {"a": 9}}}
    nested = {"splits": {"train": {"rows": 100, "support": {"a": 9}}}}
    assert summarise_data(flat, NAMES, VALIDATION, TEST) == summarise_data(nested, NAMES, VALIDATION, TEST)
    found = summarise_data(flat, NAMES, VALIDATION, TEST)
    assert found.splits == ["train", "validation", "test"]
    assert found.rows["train"] == 100
    assert found.support["a"] == {"train": 9, "validation": 3, "test": 5}
    assert summarise_data({"rows": {"train": 100}, "labels": {"train": {"a": 9}}}, NAMES, VALIDATION, TEST) == found
    assert summarise_data({"splits": {"train": 100}}, NAMES, VALIDATION, TEST).rows["train"] == 100


def test_binary_counts_the_negative_label_too():
    found = summarise_data({}, ["no", "yes"], *(replace(m, task="binary") for m in (ONE, ONE)))
    assert found.support == {"no": {"validation": 6, "test": 6}, "yes": {"validation": 4, "test": 4}}


def test_other_keys_become_facts_in_words():
    data = {
        "rows": 1500,
        "duplicates": {"exact": 12, "across_splits": 0},
        "group_column": "document",
        "dropped": None,
        "grouped": True,
        "share": 0.123456,
        "notes": [f"n{k}" for k in range(32)],
        "labels": ["a", "b"],
        "task": "multilabel",
        "groups": {"train": None, "validation": None},
        "characters": {"train": {"min": 1, "max": 90}, "validation": {"min": 2, "max": 80}},
        "test_groups": ["d"] * 30,
    }
    facts = dict(summarise_data(data, NAMES, VALIDATION, TEST).facts)
    assert facts.pop("notes").endswith("n29 and 2 more")
    assert facts == {
        "rows in all": "1,500",
        "duplicates": "exact: 12, across_splits: 0",
        "group column": "document",
        "grouped": "yes",
        "characters": "train (min: 1, max: 90); validation (min: 2, max: 80)",
        "share": "0.1235",
    }


def test_strange_values_do_no_harm():
    found = summarise_data({"rows": "many", "support": [1, 2], "splits": None}, NAMES, VALIDATION, TEST)
    assert found.rows == {"validation": 20, "test": 30}


def test_what_training_knows_of_its_data_is_told_in_words():
    summary = {
        "made": "By chance.",
        "rows": {"train": 9},
        "without_label": {"train": 0.7061},
        "text_characters": {"train": {"min": 1, "median": 1250, "p95": 2000, "max": 9000}},
        "groups": {"train": 3},
        "groups_in_both": 0,
        "duplicates": {"train": 2, "validation_in_train": 1},
    }
    assert tell_data(summary) == {
        "splits_made": "By chance.",
        "rows": {"train": 9},
        "without_a_label": "70.6% of train",
        "characters": "train: median 1,250, 95% up to 2,000, longest 9,000",
        "groups": {"train": 3},
        "texts_that_repeat": "2 in train, of an earlier row, 1 of validation in train",
    }
    assert tell_data({}) == {}
