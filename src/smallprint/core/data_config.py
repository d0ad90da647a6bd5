"""Settings of the data, a section of `Config`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from smallprint.core.section import Section

UTF_8 = "utf-8"
ASCII = bytes(range(128))  # lines are told apart before they are decoded


class DataConfig(Section):
    """Where text, labels and splits stand in the table."""

    text: str | None = Field(None, description="Column with the text; found by its name or content when left out.")
    labels: str | None = Field(
        None,
        description="Column with the labels (a list, a delimited string or one name), or several 0/1 columns joined by commas.",
    )
    group: str | None = Field(
        None,
        description="Column whose rows stay in one split (one document, one company); found by name when left out.",
    )
    split: str | None = Field(
        "split", description="Column that names each row's split, used where a single file has it."
    )
    task: Literal["auto", "binary", "multiclass", "multilabel"] = Field(
        "auto", description="Kind of task; 'binary' on multi-label data means 'any label'."
    )
    delimiter: str = Field("|", min_length=1, description="Joins several labels in one string.")
    positive: str | None = Field(
        None, description="The positive label of a binary task; chosen and said when left out."
    )
    empty_text: Literal["error", "drop"] = Field("error", description="What to do with rows that have no text.")
    empty_label: Literal["error", "drop"] = Field(
        "error",
        description="What to do with rows that have no label where each has one; where a row may have several, none is an answer.",
    )
    validation_share: float = Field(
        0.15, gt=0, lt=0.5, description="Share of rows for validation where no such split exists."
    )
    test_share: float = Field(0.15, gt=0, lt=0.5, description="Share of rows for test where no such split exists.")
    encoding: str = Field(
        UTF_8,
        description="Encoding of CSV, TSV and JSON Lines that are not UTF-8, such as windows-1252: mostly that of Excel's plain CSV.",
    )
    extra: str | None = Field(
        None,
        min_length=1,
        description="A table with the same columns whose rows are added to train, and never to validation or test.",
    )

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, name: str) -> str:
        try:
            kept = ASCII.decode(name) == ASCII.decode(UTF_8)
        except (LookupError, UnicodeError):
            kept = False
        if not kept:
            raise ValueError(
                f"{name!r} is no encoding that holds ASCII as it is, such as windows-1252, latin-1 or cp1251"
            )
        return name


__all__ = ["UTF_8", "DataConfig"]
