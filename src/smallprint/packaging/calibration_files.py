"""A calibration as a bundle's files name it. In: the entry and the labels. Out: the calibration, or a clear error."""

from __future__ import annotations

from pathlib import Path

from smallprint.core.errors import BundleError, SmallprintError
from smallprint.data.labels import LabelSet
from smallprint.evaluation.calibration import Calibration
from smallprint.packaging.manifest import AGAIN, CalibrationEntry


def read_calibration(entry: CalibrationEntry, labels: LabelSet, path: Path) -> Calibration:
    """Gives the calibration of an entry.

    Args:
        entry: As it stands in the file.
        labels: Whose scores it is for.
        path: Of the file, for the error.

    Raises:
        BundleError: It cannot be used, or is for other labels.
    """
    try:
        calibration = Calibration.from_dict(entry.model_dump())
    except SmallprintError as error:
        raise BundleError(f"{path}: {error.found}", error.expected, AGAIN) from None
    if (calibration.task, calibration.slope.size) != (labels.task, labels.n_outputs):
        raise BundleError(
            f"{path} has a calibration of {calibration.slope.size} scores ({calibration.task}).",
            f"one of {labels.n_outputs} ({labels.task}), as the labels",
            AGAIN,
        )
    return calibration


__all__ = ["read_calibration"]
