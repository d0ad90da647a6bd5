"""Does `monitor` keep quiet where nothing moved, and speak where something did? Writes benchmarks/results/monitor.json.

    python benchmarks/monitor.py BUNDLE [--rounds 100] [--first 0] [--quick]

BUNDLE learned from UNFAIR-ToS's train. Validation and test (20 documents that it did not learn from) are scored once, then parted at random
a hundred times, by rows and by document, into a reference and 300 or 1,000 new texts. Drift is planted by putting Banking77's questions
in the place of 20% of the new texts: of any rows, of each document's rows, or as whole documents.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.core.errors import DataError
from smallprint.core.files import write_json
from smallprint.data.sketch import count_words, number_texts
from smallprint.evaluation.drift import Drift
from smallprint.inference.engine import load_engine
from smallprint.inference.monitor import monitor_texts
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.reference import Reference

SHARED = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "monitor.json", ROOT / "docs" / "monitor.md"
APART = 1_000_000  # chance that parts texts must not be the one by which they are parted anew
SIZES, ALPHAS, SHARE = (300, 1000), (0.01, 0.05), 0.2


class World:
    """All texts with their scores and documents; the last ones are of another domain."""

    def __init__(self, bundle: Path) -> None:
        self.engine = load_engine(find_bundle(bundle))
        frames = [pl.read_parquet(SHARED / "unfair_tos" / f"{split}.parquet") for split in ("validation", "test")]
        known = pl.concat([frame.select("document", "text") for frame in frames])
        foreign = (
            pl.read_csv(SHARED / "banking77" / "test.csv")["text"].str.to_lowercase().to_list()
        )  # as UNFAIR-ToS is
        self.texts = [*known["text"].to_list(), *foreign]
        self.documents = np.array([*known["document"].to_list(), *["bank"] * len(foreign)], dtype=object)
        self.known, self.foreign = np.arange(len(known)), np.arange(len(known), len(self.texts))
        self.usual = count_words(pl.read_parquet(SHARED / "unfair_tos" / "train.parquet")["text"].to_list())
        self.scores = self.engine.score(self.texts)
        self.numbers = number_texts(self.texts, self.usual)

    def compare(self, old: np.ndarray, new: np.ndarray, groups: list[Any] | None, seed: int) -> Drift | None:
        part, units = self.numbers.take(old), None
        if groups is not None:
            units = np.unique(self.documents[old].astype(str), return_inverse=True)[1].astype(np.int32)
        reference = Reference(self.scores[old].astype(np.float16), part, units, self.usual)
        texts = [self.texts[i] for i in new]
        try:
            return monitor_texts(self.engine, reference, texts, groups, scores=self.scores[new], seed=seed + APART)
        except DataError as error:
            print(error.found)
            return None


def parted(world: World, by: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gives rows of the reference and new rows."""
    if by == "rows":
        order = rng.permutation(world.known)
        return order[size:], order[:size]
    documents = world.documents[world.known]
    names = rng.permutation(np.unique(documents.astype(str)))
    inside = np.isin(documents.astype(str), names[: len(names) // 2])
    return world.known[~inside], rng.choice(world.known[inside], min(size, int(inside.sum())), replace=False)


def cases() -> dict[str, tuple[str, bool, str]]:
    """Gives by name: how it is parted, whether documents are told, and what is planted."""
    return {
        "nothing moved, by rows": ("rows", False, ""),
        "nothing moved, by document": ("documents", True, ""),
        "nothing moved, by document, which is not told": ("documents", False, ""),
        "20% foreign rows": ("rows", False, "rows"),
        "20% foreign rows in every document": ("documents", True, "rows"),
        "20% foreign rows in 2 documents": ("documents", True, "documents"),
    }


def measure(world: World, name: str, size: int, rounds: range) -> dict[str, Any]:
    by, told, planted = cases()[name]
    found: list[Drift] = []
    silent = 0
    for seed in rounds:
        rng = np.random.default_rng(seed)
        old, new = parted(world, by, size, rng)
        groups = world.documents[new].copy()
        if planted:
            there = rng.choice(len(new), round(SHARE * len(new)), replace=False)
            new[there] = rng.choice(world.foreign, len(there), replace=False)
            if planted == "documents":
                groups[there] = [f"bank {i % 2}" for i in range(len(there))]
        drift = world.compare(old, new, groups.tolist() if told else None, seed)
        silent += drift is None
        found += [] if drift is None else [drift]
    least = np.array([min(measure.p_adjusted for measure in drift.measures) for drift in found])
    row: dict[str, Any] = {
        "case": name,
        "new_texts": size,
        "splits": len(rounds),
        "refused": silent,
        "units": [found[0].reference[1], found[0].new[1]] if found else None,
        "said": {str(alpha): int((least <= alpha).sum()) for alpha in ALPHAS},
        "by_measure_at_0.01": {
            part.name: sum(drift.measures[i].moved for drift in found) for i, part in enumerate(found[0].measures)
        },
    }
    print(row, flush=True)
    return row


def render(found: dict[str, Any]) -> str:
    """Gives the table: alarms with the exact 95% interval of their rate (Clopper-Pearson)."""
    from scipy.stats import binomtest

    lines = [
        "| | new texts | alarms at alpha 0.01 | their rate, 95% interval | alarms at alpha 0.05 | by the classifier (0.01) |",
        "|---" * 6 + "|",
    ]
    for row in found["rows"]:
        n, said = row["splits"], row["said"]
        ends = binomtest(said["0.01"], n).proportion_ci(0.95, "exact")
        cells = [
            row["case"],
            f"{row['new_texts']:,}",
            f"{said['0.01']} of {n}",
            f"{ends.low:.1%} to {ends.high:.1%}",
            f"{said['0.05']} of {n}",
            str(row["by_measure_at_0.01"]["texts"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    quiet = [row for row in found["rows"] if row["case"] in ("nothing moved, by rows", "nothing moved, by document")]
    alarms, splits = sum(row["said"]["0.01"] for row in quiet), sum(row["splits"] for row in quiet)
    chance = binomtest(alarms, splits, 0.01, alternative="greater").pvalue
    lines.append("")
    lines.append(
        f"{found['texts']:,} texts of {found['documents']} documents; by document 10 are new and 10 are the reference. "
        f"Where nothing moved (by rows and by document, both sizes): {alarms} alarms in {splits} splits, "
        f"{alarms / splits:.1%}, at a stated rate of 1%: so many or more come with probability {chance:.2f} where the rate is kept."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="Seed of the first split.")
    parser.add_argument("--only", help="Part of a case's name: print, write nothing.")
    parser.add_argument("--render", action="store_true", help="Only write the table from the results file.")
    given = parser.parse_args()
    if not given.render:
        world, rows = World(given.bundle), []
        for name in cases():
            for size in SIZES:
                if given.only is None or given.only in name:
                    rows.append(measure(world, name, size, range(given.first, given.first + given.rounds)))
        if given.only:
            return
        write_json(
            RESULTS,
            {
                "model": world.engine.scorer.__class__.__name__,
                "alpha": 0.01,
                "texts": len(world.known),
                "documents": len(np.unique(world.documents[world.known].astype(str))),
                "rows": rows,
            },
        )
    write_section("monitor", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


if __name__ == "__main__":
    main()
