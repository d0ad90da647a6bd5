"""The data summary as tables. In: the summary dict and both `Metrics`. Out: rows and support per split, and facts.

The dict may hold anything; every key may be missing. What the metrics know (rows and support of validation and test)
fills the gaps. It counts nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallprint.core.results import Metrics

SPLITS = ("train", "validation", "test")
SHOWN_ELSEWHERE = ("rows", "support", "splits", "labels", "label_names", "task", "test_groups")


@dataclass(frozen=True)
class DataSummary:
    """`rows` maps a split to its size, `support` a label to its count per split; `facts` are names and words."""

    splits: list[str]
    rows: dict[str, int]
    support: dict[str, dict[str, int]]
    facts: list[tuple[str, str]]


def summarise_data(data: dict[str, Any], label_names: list[str], validation: Metrics, test: Metrics) -> DataSummary:
    """The summary of a data dict.

    Args:
        data: Known keys: `rows` (a number, or one per split), `support` or `labels` ({split: {label: count}}),
            `splits` ({split: {"rows": ..., "support": ...}}). Other keys become facts, in their order.
        label_names: In the order in which they are shown.
        validation: Fills in rows and support of its split.
        test: The same.
    """
    rows: dict[str, int] = {}
    per_split: dict[str, dict[str, int]] = {}
    for name, metrics in (("validation", validation), ("test", test)):
        rows[name] = metrics.n_examples
        per_split[name] = {row.label: row.support for row in metrics.per_label}
        if metrics.task == "binary" and metrics.per_label:
            per_split[name][label_names[0]] = metrics.n_examples - metrics.per_label[0].support
    for split, content in _mapping(data.get("splits")).items():
        inner = _mapping(content) or {"rows": content}
        rows |= {str(split): inner["rows"]} if isinstance(inner.get("rows"), int) else {}
        per_split.setdefault(str(split), {}).update(_counts(inner.get("support")))
    rows |= _counts(data.get("rows"))
    for split, counts in [*_mapping(data.get("labels")).items(), *_mapping(data.get("support")).items()]:
        per_split.setdefault(str(split), {}).update(_counts(counts))
    known = dict.fromkeys([*rows, *(split for split, counts in per_split.items() if counts)])
    splits = [split for split in SPLITS if split in known] + [split for split in known if split not in SPLITS]
    labels = dict.fromkeys([*label_names, *(label for split in splits for label in per_split.get(split, {}))])
    support = {
        label: {split: per_split[split][label] for split in splits if label in per_split.get(split, {})}
        for label in labels
    }
    facts = [("rows in all", _words(data["rows"]))] if isinstance(data.get("rows"), int) else []
    facts += [(str(key), _words(value)) for key, value in data.items() if key not in SHOWN_ELSEWHERE]
    return DataSummary(splits, rows, support, [(key.replace("_", " "), value) for key, value in facts if value])


def tell_data(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary that `data.summarize` gives, with words for its facts; what has no words here stays as it is.

    Args:
        summary: JSON-ready; any key may be missing.
    """
    told = dict(summary)
    for key in ("made", "without_label", "text_characters", "groups_in_both", "duplicates"):
        told.pop(key, None)
    if summary.get("made"):
        told["splits_made"] = summary["made"]
    if shares := _mapping(summary.get("without_label")):
        told["without_a_label"] = ", ".join(f"{share:.1%} of {split}" for split, share in shares.items())
    if lengths := _mapping(summary.get("text_characters")):
        told["characters"] = "; ".join(
            f"{split}: median {each['median']:,}, 95% up to {each['p95']:,}, longest {each['max']:,}"
            for split, each in lengths.items()
        )
    if summary.get("groups_in_both"):
        told["groups_in_train_and_validation"] = summary["groups_in_both"]
    words = {
        "train": "in train, of an earlier row",
        "validation_in_train": "of validation in train",
        "test_in_extra": "of test in the extra rows",
    }
    if repeats := _mapping(summary.get("duplicates")):
        told["texts_that_repeat"] = ", ".join(f"{n:,} {words.get(key, key)}" for key, n in repeats.items())
    return told


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _counts(value: object) -> dict[str, int]:
    return {str(key): count for key, count in _mapping(value).items() if isinstance(count, int)}


def _words(value: object) -> str:
    """A value in words: numbers with thousands, lists and dicts joined; nothing for what is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, Mapping):
        inner = {_words(key): _words(content) for key, content in value.items() if content is not None}
        if any(isinstance(content, Mapping) for content in value.values()):
            return "; ".join(f"{key} ({words})" for key, words in inner.items())
        return ", ".join(f"{key}: {words}" for key, words in inner.items())
    if isinstance(value, list | tuple | set):
        shown = [_words(inner) for inner in list(value)[:30]]
        return ", ".join(shown) + (f" and {len(value) - 30:,} more" if len(value) > 30 else "")
    return str(value)
