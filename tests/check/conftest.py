"""Small tables, as a check sees them."""

import polars as pl
import pytest

from smallprint.check.findings import Rows
from smallprint.check.reading import row_types


@pytest.fixture(scope="session")
def rows_of():
    """`rows_of({"train": [...], ...})`: each row a text, or (text, labels), or (text, labels, group)."""

    def make(splits, task="multilabel", names=None) -> Rows:
        table = []
        for split, entries in splits.items():
            for number, entry in enumerate(entries):
                text, labels, group = (*entry, None, None)[:3] if isinstance(entry, tuple) else (entry, [], None)
                table.append({"split": split, "row": number, "text": text, "labels": labels, "group": group})
        found = sorted({label for row in table for label in row["labels"] or []})
        grouped = any(row["group"] is not None for row in table)
        frame = pl.DataFrame(table, schema=row_types(names or found, grouped=grouped))
        return Rows(frame, lambda split, row: f"{split}.csv, line {row + 2}", names or found, task)

    return make


@pytest.fixture
def kinds():
    """`kinds(findings)`: by kind."""
    return lambda findings: {finding.kind: finding for finding in findings}
