"""Packages that are optional. In: a module's name. Out: the module, or an error that says how to install it."""

from __future__ import annotations

import importlib
from typing import Any

from smallprint.core.errors import MissingExtraError


def import_extra(module: str, needs: str, extra: str) -> Any:
    """Gives a module of an optional package.

    Args:
        module: As it is imported, such as 'lxml.html'.
        needs: What needs it, for the message: 'Web pages need'.
        extra: Name of the extra that brings it.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{needs} the package '{package}', which is not installed.", package, f"pip install 'smallprint[{extra}]'"
        ) from None


__all__ = ["import_extra"]
