"""The arrays of a model that is tables and planes. In: a safetensors file and what it must hold. Out: arrays, or a refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import BundleError
from smallprint.packaging.manifest import AGAIN, unreadable

Form = tuple[tuple[int, ...], Any]  # an array's shape and type


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Gives the arrays of a file by name.

    Raises:
        BundleError: It cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, NDArray[Any]] = load_file(str(path))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise unreadable(path, f"{type(error).__name__}.") from None
    return arrays


def check_names(found: Iterable[str], wanted: Iterable[str], path: Path) -> None:
    """Checks that a file holds the wanted arrays and no others.

    Raises:
        BundleError: It does not; the first is named.
    """
    known = set(wanted)
    if odd := sorted(known ^ set(found)):
        what = "lacks" if odd[0] in known else "has an unknown"
        raise BundleError(f"{path} {what} array '{odd[0]}'.", ", ".join(sorted(known)), AGAIN)


def check_forms(arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, Form], path: Path, told_by: str) -> None:
    """Checks shapes and types.

    Args:
        arrays: All that are wanted.
        wanted: By name.
        path: Of their file.
        told_by: What tells the shapes, in words.

    Raises:
        BundleError: One is of another form.
    """
    for name, (shape, kind) in wanted.items():
        if arrays[name].shape != shape or arrays[name].dtype != kind:
            raise BundleError(
                f"{path}: '{name}' has shape {list(arrays[name].shape)} and type {arrays[name].dtype}.",
                f"{list(shape)} and {np.dtype(kind)}, by the {told_by}",
                AGAIN,
            )


__all__ = ["Form", "check_forms", "check_names", "read_arrays"]
