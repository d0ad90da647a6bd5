"""Are a policy's promises kept? Resplits of UNFAIR-ToS by document: the border from one half, the recall on the other.

    python benchmarks/promises.py RUN [--resplits 500] [--render]

RUN is a finished run that did not learn from validation (no stack). Its scores of validation and test are pooled and resplit by
document; nothing is trained or chosen here. Writes benchmarks/results/promises.json and the table in docs/policy.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from readme import ROOT, write_section
from smallprint.core.config import Config
from smallprint.core.files import write_json
from smallprint.core.settings import load_config
from smallprint.evaluation.policy import find_policy
from smallprint.evaluation.ranking import any_score
from smallprint.evaluation.score_files import read_scores
from smallprint.training.tracking import flat

PAGE = ROOT / "docs" / "policy.md"
RESULTS = ROOT / "benchmarks" / "results" / "promises.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--resplits", type=int, default=500)
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    if not given.render:
        measure(given.run, given.resplits)
    write_section("promises", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


def render(found: dict[str, Any]) -> str:
    """Gives the table."""
    lines = [
        "| promised recall | kept in | of those with a border | mean recall | cleared by the machine | no border found |",
        "|---" * 6 + "|",
    ]
    for row in found["rows"]:
        silent = row["no_promise"]  # without a border nothing is cleared, which keeps any promise
        kept = [row["kept"], (row["kept"] - silent) / (1 - silent)] if silent < 1 else [row["kept"], 0.0]
        shares = [f"{share:.1%}" for share in (*kept, row["mean_recall"], row["cleared"], silent)]
        lines.append(f"| {row['promised']:.0%} | " + " | ".join(shares) + " |")
    if model := found.get("run"):
        told = "".join(f", {setting}" for setting in model["settings"])
        lines += ["", f"Of one run: backbone {model['backbone']}{told}, seed {model['seed']}; all else as by default."]
    return "\n".join(lines)


def described(run: Path) -> dict[str, Any]:
    """Gives which model it was: its backbone, what else of model and training is not the default, and its seed."""
    config = load_config(run / "config.yaml")
    usual, own = (
        flat({name: getattr(part, name).model_dump() for name in ("model", "training")}) for part in (Config(), config)
    )
    apart = ("model.backbone", "training.seed")
    settings = [f"{key}={value}" for key, value in own.items() if usual.get(key) != value and key not in apart]
    named = config.model.backbone
    return {
        "backbone": Path(named).name if Path(named).is_absolute() else named,
        "settings": settings,
        "seed": config.training.seed,
    }


def measure(run: Path, resplits: int) -> None:
    """Writes the results file."""
    saved = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    parts = [read_scores(run, split, saved) for split in ("validation", "test")]
    truth, scores = (np.concatenate([getattr(part, name) for part, _ in parts]) for name in ("targets", "scores"))
    groups = np.array([group for _, found in parts for group in found])
    documents = sorted(set(groups))
    anything, positive = any_score(scores)[:, 0], truth.any(axis=1)
    rng, rows = np.random.default_rng(0), []
    halves = [rng.permutation(len(documents))[: len(documents) // 2] for _ in range(resplits)]
    for wanted in (0.8, 0.9, 0.95):
        kept, cleared, recalls, silent = [], [], [], 0
        for half in halves:
            here = np.isin(groups, [documents[i] for i in half])
            clear = find_policy(truth[here], scores[here], list(groups[here]), recall=wanted).clear
            assert clear is not None
            silent += clear.border is None
            border = -1.0 if clear.border is None else clear.border
            recalls.append(float((anything[~here][positive[~here]] >= border).mean()))
            kept.append(recalls[-1] >= wanted)
            cleared.append(float((anything[~here] < border).mean()))
        row = {"promised": wanted, "kept": float(np.mean(kept)), "mean_recall": float(np.mean(recalls))}
        rows.append({**row, "cleared": float(np.mean(cleared)), "no_promise": silent / resplits})
        print(rows[-1], flush=True)
    write_json(
        RESULTS,
        {
            "run": described(run),
            "documents": len(documents),
            "texts": len(truth),
            "positive": int(positive.sum()),
            "confidence": 0.95,
            "resplits": resplits,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
