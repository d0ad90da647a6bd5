"""Label names and targets. In: lists of label names, or scores and thresholds. Out: targets, or label names again.

It knows no files and chooses no thresholds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.config import Task
from smallprint.core.errors import DataError
from smallprint.core.naming import nearest, quoted


@dataclass(frozen=True)
class LabelSet:
    """The labels of a task, in the order of a model's outputs.

    Attributes:
        task: The task.
        names: All label names, each once; for binary exactly [negative, positive].

    Raises:
        DataError: A name stands twice, or there are too few or too many names for the task.

    Example:
        >>> LabelSet("multilabel", ["late", "rude"]).encode([["rude"], []]).tolist()
        [[0, 1], [0, 0]]
    """

    task: Task
    names: list[str]

    def __post_init__(self) -> None:
        fewest = {"binary": 2, "multiclass": 2, "multilabel": 1}[self.task]
        if len(set(self.names)) != len(self.names):
            raise DataError(f"Label names stand twice: {quoted(self.names)}.", "each name once", "Rename one of them.")
        if len(self.names) < fewest or (self.task == "binary" and len(self.names) != 2):
            count = "exactly 2" if self.task == "binary" else f"at least {fewest}"
            raise DataError(
                f"{len(self.names)} label names: {quoted(self.names)}.",
                f"{count} for a {self.task} task",
                "Check the task.",
            )

    @property
    def n_outputs(self) -> int:
        """Number of a model's outputs: 1 for binary, else one a label."""
        return len(self.score_names)

    @property
    def score_names(self) -> list[str]:
        """Names of the outputs: the positive label alone for binary, else all."""
        return self.names[1:] if self.task == "binary" else list(self.names)

    def encode(self, labels: Sequence[Sequence[str]]) -> NDArray[Any]:
        """Targets of a list of examples.

        Args:
            labels: Label names of each example; exactly one for binary and multiclass.

        Returns:
            multilabel: 0/1 int8 `[n, n_labels]`; binary: 0/1 int8 `[n, 1]`; multiclass: ids int64 `[n]`.

        Raises:
            DataError: A label is not known, or an example has not exactly one where it must.
        """
        ids = {name: i for i, name in enumerate(self.names)}
        self._check_known(labels, ids)
        if self.task == "multilabel":
            targets = np.zeros((len(labels), len(self.names)), dtype=np.int8)
            rows = [row for row, names in enumerate(labels) for _ in names]
            targets[rows, [ids[name] for names in labels for name in names]] = 1
            return targets
        odd = [row for row, names in enumerate(labels) if len(names) != 1]
        if odd:
            raise DataError(
                f"{len(odd):,} examples without exactly one label, first example {odd[0]}: {list(labels[odd[0]])}.",
                f"one label each for a {self.task} task",
                "Check the labels.",
            )
        single = np.array([ids[names[0]] for names in labels], dtype=np.int64)
        return single.astype(np.int8)[:, None] if self.task == "binary" else single

    def decode(self, scores: NDArray[Any], thresholds: NDArray[Any]) -> list[list[str]]:
        """Label names that follow from scores; exactly one an example for binary and multiclass.

        Args:
            scores: Float `[n, n_outputs]`.
            thresholds: Float `[n_outputs]`; a score at its threshold counts. Unused for multiclass, where the highest
                score wins.
        """
        if self.task == "multiclass":
            return [[self.names[i]] for i in np.argmax(scores, axis=1)] if len(scores) else []
        return self.decode_targets((np.asarray(scores) >= np.asarray(thresholds)).astype(np.int8))

    def decode_targets(self, targets: NDArray[Any]) -> list[list[str]]:
        """Label names of targets, the reverse of `encode`; several come in the order of `names`.

        Args:
            targets: As `encode` returns them.
        """
        if self.task == "multiclass":
            return [[self.names[i]] for i in targets]
        if self.task == "binary":
            return [[self.names[int(i)]] for i in np.asarray(targets).reshape(-1)]
        lists: list[list[str]] = [[] for _ in range(len(targets))]
        for row, column in zip(*np.nonzero(targets), strict=True):
            lists[row].append(self.names[column])
        return lists

    def _check_known(self, labels: Sequence[Sequence[str]], ids: dict[str, int]) -> None:
        strange = Counter(name for names in labels for name in set(names) if name not in ids)
        if strange:
            name, count = strange.most_common(1)[0]
            others = f", and {len(strange) - 1:,} other unknown labels" if len(strange) > 1 else ""
            raise DataError(
                f"The label {name!r} is not known ({count:,} rows){others}.",
                f"one of {quoted(self.names)}",
                nearest(name, self.names) or "Correct the label, or train with examples of it.",
            )
