"""What MLflow runs to load a bundle ("models from code"). In: a table with a column of texts. Out: labels and scores.

MLflow copies this file into each model that it logs. It holds no weights and nothing pickled: these are the bundle's own
files beside it, which smallprint's own loader reads and checks.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class SmallprintModel(PythonModel):  # type: ignore[misc]
    """A bundle as MLflow asks for it."""

    def load_context(self, context: Any) -> None:
        """Loads the bundle, after its files were checked."""
        from smallprint.inference.engine import load_engine

        self.engine = load_engine(context.artifacts["bundle"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Gives a table with `label` (multiclass: also its score, `label_score`) or `labels`, `score_NAME` for each output, and
        `decision` where there is a policy.

        Args:
            context: As MLflow gives it.
            model_input: A table whose column `text`, or whose only one, holds texts; or a list of texts.
            params: None are known.
        """
        from smallprint.registry.flavour import answer_table

        return answer_table(self.engine, model_input)


set_model(SmallprintModel())
