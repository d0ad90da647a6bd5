"""Data sets of the Hugging Face Hub. In: `OWNER/NAME[/CONFIG]`. Out: the data set, and the label names it declares.

Downloads and their cache are the package `datasets`' own; no code of a data set is ever run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smallprint.core.errors import DataError, MissingExtraError


def open_hub(name: str) -> Any:
    """A `DatasetDict` from the Hub, or from the cache of an earlier download.

    Raises:
        MissingExtraError: The package `datasets` is not installed.
        DataError: The name is not `OWNER/NAME` or `OWNER/NAME/CONFIG`, or the Hub has no answer.
    """
    parts = name.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise DataError(
            f"'hub:{name}' does not name a data set.", "hub:OWNER/NAME or hub:OWNER/NAME/CONFIG", "Correct the name."
        )
    try:
        import datasets
    except ImportError as error:
        raise MissingExtraError(
            f"'hub:{name}' needs the package 'datasets', which is not installed.",
            "the extra 'hub'",
            "pip install 'smallprint[hub]'",
        ) from error
    config = parts[2] if len(parts) == 3 else None
    try:
        return datasets.load_dataset("/".join(parts[:2]), config)
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise DataError(
            f"'hub:{name}' cannot be read ({reason[0] if reason else type(error).__name__}).",
            "a data set that exists, and a way to reach the Hub or a copy in the cache",
            "Check the name and the network. To work offline: set HF_HUB_OFFLINE=1 where it was downloaded before; or "
            "download it on another machine, save each split as train.parquet, validation.parquet, test.parquet, "
            "and give that folder.",
        ) from error


def read_label_names(data: Any) -> dict[str, list[str]]:
    """Label names in id order for each column of a data set that declares them (`ClassLabel`); {} for other things."""
    features = getattr(data, "features", None)
    if not isinstance(features, Mapping):
        return {}
    found: dict[str, list[str]] = {}
    for column, feature in features.items():
        inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", feature)
        names = getattr(inner, "names", None)
        if isinstance(names, list | tuple):
            found[str(column)] = [str(name) for name in names]
    return found
