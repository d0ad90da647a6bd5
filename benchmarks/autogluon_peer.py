"""AutoGluon on "unfair or not" of UNFAIR-ToS, for `sweep.py --autogluon`: runs under a Python that has `autogluon.tabular[lightgbm]`.

    PYTHON benchmarks/autogluon_peer.py TRAIN.parquet VALIDATION.parquet SECONDS OUT.json SEED

Its defaults, validation as tuning data, average precision as the measure; F1 at the threshold that is best on validation. Prints
nothing of the texts.
"""

import json
import sys
import tempfile
import time

import autogluon.tabular
import pandas as pd
from autogluon.tabular import TabularPredictor
from sklearn.metrics import average_precision_score, precision_recall_curve

train, validation = (pd.read_parquet(path) for path in sys.argv[1:3])
for frame in (train, validation):
    frame["unfair"] = frame["labels"].apply(lambda labels: int(len(labels) > 0))
began = time.monotonic()
with tempfile.TemporaryDirectory() as place:
    predictor = TabularPredictor(
        label="unfair", problem_type="binary", eval_metric="average_precision", path=place, verbosity=1
    )
    predictor.fit(
        train[["text", "unfair"]],
        tuning_data=validation[["text", "unfair"]],
        time_limit=float(sys.argv[3]),
        num_cpus=2,
        ag_args_fit={"random_seed": int(sys.argv[5])},
    )
    seconds = time.monotonic() - began
    scores = predictor.predict_proba(validation[["text"]])[1]
    models = predictor.leaderboard()[["model", "score_val", "fit_time"]].to_dict("records")
precision, recall, _ = precision_recall_curve(validation["unfair"], scores)
found = {
    "f1": float((2 * precision * recall / (precision + recall).clip(1e-12)).max()),
    "version": autogluon.tabular.__version__,
    "seconds": seconds,
    "average_precision": float(average_precision_score(validation["unfair"], scores)),
    "models": models,
}
with open(sys.argv[4], "w") as file:  # noqa: PTH123 - no more than that Python needs
    json.dump(found, file, indent=2)
