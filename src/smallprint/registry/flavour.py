"""A bundle as an MLflow model: pyfunc, by code, with signature and example. In: a bundle's folder. Out: a folder for MLflow.

What `mlflow models serve`, `mlflow.pyfunc.load_model` and `mlflow.pyfunc.spark_udf` take. The bundle lies in it as it is.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from smallprint.core.errors import DataError
from smallprint.inference.engine import Engine
from smallprint.inference.predictor import LABEL_SCORE
from smallprint.modeling.scorer import Scorer
from smallprint.modeling.stack_scorer import StackScorer
from smallprint.packaging.registered import PLACE

TEXT = "text"
EXAMPLE = "We may change these terms at any time and without notice."  # of nobody's data
EXTRAS = {"onnxruntime": "onnx", "openvino": "openvino"}  # by what runs a model


def save_mlflow_model(bundle: Path, engine: Engine, folder: Path, entry: Any = None) -> None:
    """Writes a bundle as an MLflow model.

    Args:
        bundle: Its folder.
        engine: The same, loaded.
        folder: The new folder.
        entry: MLflow's `Model` to be filled, where the model has an id in a store.
    """
    import mlflow.pyfunc
    import pandas as pd

    example = pd.DataFrame({TEXT: [EXAMPLE]})
    mlflow.pyfunc.save_model(
        path=str(folder),
        mlflow_model=entry,
        python_model=str(Path(__file__).with_name("pyfunc_code.py")),
        artifacts={PLACE: str(bundle)},
        signature=_signature(engine),
        input_example=example,
        pip_requirements=[f"smallprint{extras_of(engine.scorer)}=={version('smallprint')}"],
    )
    for cache in folder.rglob("__pycache__"):
        for file in cache.iterdir():
            file.unlink()
        cache.rmdir()


def extras_of(scorer: Scorer) -> str:
    """Gives the extras that what runs a model needs, in brackets, such as '[onnx]'; '' where it needs none."""
    names = sorted({EXTRAS[runtime] for runtime in _runtimes(scorer) if runtime in EXTRAS})
    return f"[{','.join(names)}]" if names else ""


def _runtimes(scorer: Scorer) -> set[str]:
    if isinstance(scorer, StackScorer):
        return {runtime for member in scorer.members for part in member.scorers for runtime in _runtimes(part)}
    return {getattr(scorer, "runtime", "")}


def answer_table(engine: Engine, table: Any) -> Any:
    """Gives a pandas table of what `predict` adds to rows.

    Args:
        engine: The model.
        table: A pandas table whose column `text`, or whose only one, holds texts; or a list of texts.

    Raises:
        DataError: It has no such column, or a value that is no text.
    """
    import pandas as pd

    if isinstance(table, pd.DataFrame):
        if TEXT not in table.columns and table.shape[1] != 1:
            raise DataError(
                f"The columns are {', '.join(map(str, table.columns))}.", f"a column '{TEXT}'", "Rename yours."
            )
        texts = list(table[TEXT] if TEXT in table.columns else table.iloc[:, 0])
    else:
        texts = list(table)
    found = engine.predict(texts)
    several = engine.labels.task == "multilabel"
    columns: dict[str, Any] = {
        "labels" if several else "label": found.labels if several else [names[0] for names in found.labels]
    }
    if engine.labels.task == "multiclass":
        columns[LABEL_SCORE] = found.scores.max(axis=1).astype("float64")
    columns |= {f"score_{name}": found.scores[:, i].astype("float64") for i, name in enumerate(found.label_names)}
    if found.decisions is not None:
        columns["decision"] = found.decisions
    return pd.DataFrame(columns)


def _signature(engine: Engine) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    several = engine.labels.task == "multilabel"
    outputs = [ColSpec(Array(DataType.string) if several else DataType.string, "labels" if several else "label")]
    outputs += [ColSpec(DataType.double, LABEL_SCORE)] if engine.labels.task == "multiclass" else []
    outputs += [ColSpec(DataType.double, f"score_{name}") for name in engine.labels.score_names]
    outputs += [] if engine.policy is None else [ColSpec(DataType.string, "decision")]
    return ModelSignature(inputs=Schema([ColSpec(DataType.string, TEXT)]), outputs=Schema(outputs))


__all__ = ["EXAMPLE", "TEXT", "answer_table", "save_mlflow_model"]
