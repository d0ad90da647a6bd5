"""What one clause is at every step of the way, for the guide's tour.

    smallprint train sample --out RUN
    python benchmarks/tour.py RUN

In: a finished run of an encoder on the sample corpus. Out: benchmarks/results/tour.json, which `python benchmarks/pages.py` puts into
the tour.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

from readme import ROOT
from smallprint import api
from smallprint.core.files import write_json
from smallprint.inference.evidence import tell_evidence
from smallprint.modeling.batching import pad_batch
from smallprint.modeling.tokenizer import padding_id, tokenize

RESULTS = ROOT / "benchmarks" / "results" / "tour.json"


def measure(run: Path) -> dict[str, Any]:
    """Gives tokens, vector, logits, scores, decision and evidence of the first of `examples/new_clauses.csv`."""
    import torch

    with (ROOT / "examples" / "new_clauses.csv").open(encoding="utf-8", newline="") as file:
        clauses = [row["text"] for row in csv.DictReader(file)]
    clause, engine = clauses[0], api.load(run)
    scorer: Any = engine.scorer
    tokens = tokenize(scorer.tokenizer, clauses[:3], scorer.max_length)
    ids, mask = pad_batch(list(tokens.ids), padding_id(scorer.tokenizer))
    with torch.inference_mode():
        vectors = scorer.classifier.embed(ids, mask)
        logits = scorer.classifier.head(vectors)[0]
    answer = engine.predict([clause])
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    timings = json.loads((run / "timings.json").read_text(encoding="utf-8"))
    label = answer.labels[0][0]
    return {
        "clause": clause,
        "tokens": scorer.tokenizer.convert_ids_to_tokens(tokens.ids[0].tolist()),
        "ids": tokens.ids[0].tolist(),
        "batch": list(ids.shape),
        "padding": int((mask == 0).sum()),
        "vectors": list(vectors.shape),
        "label_names": list(answer.label_names),
        "logits": [round(float(value), 3) for value in logits],
        "scores": [round(float(value), 4) for value in answer.scores[0]],
        "thresholds": [round(float(value), 4) for value in engine.thresholds],
        "labels": answer.labels[0],
        "evidence_of": label,
        "evidence": tell_evidence(engine, clause, label),
        "train": {
            "epochs": metrics["epochs"],
            "best_epoch": metrics["best_epoch"],
            "seconds": timings["seconds_total"],
        },
        "test": {"n": metrics["test"]["n_examples"], "f1_macro": metrics["test"]["values"]["f1_macro"]},
        "files": {path.name: path.stat().st_size for path in sorted((run / "bundle").iterdir()) if path.is_file()},
    }


if __name__ == "__main__":
    write_json(RESULTS, measure(Path(sys.argv[1])))
