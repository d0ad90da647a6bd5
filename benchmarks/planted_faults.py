"""Planted faults, and how many `smallprint check` finds. Writes benchmarks/results/planted_faults.json and docs/check.md's table.

    python benchmarks/planted_faults.py [--only copies near flips paraphrases] [--render]

Copies and near-copies are planted in UNFAIR-ToS (train against test rows made of train's), flipped labels in Banking77's train split,
3% of them; paraphrases are pairs written by hand (benchmarks/paraphrases.csv). Data: SMALLPRINT_DATA (default ../shared). Every check
runs on what it is given alone; nothing here was used to choose a threshold but the paraphrases' (see the column).
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.check.duplicates import check_duplicates, with_form
from smallprint.check.embed import embed_texts
from smallprint.check.findings import Rows
from smallprint.check.near import near_pairs
from smallprint.check.reading import row_types
from smallprint.check.semantic import ALIKE, joined
from smallprint.check.suspects import check_suspects, doubtable
from smallprint.core.files import write_json
from smallprint.data.normalise import normalised

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "planted_faults.json"
PAGE = ROOT / "docs" / "check.md"


def rows_of(table: list[dict[str, Any]], task: str) -> Rows:
    """Gives rows as a check sees them."""
    names = sorted({label for row in table for label in row["labels"]})
    frame = pl.DataFrame(table, schema=row_types(names, grouped=False))
    return Rows(frame, lambda split, row: f"{split}, row {row + 1}", names, task)


def clauses() -> list[str]:
    """Gives UNFAIR-ToS's training clauses, each once, of eight words and more."""
    texts = pl.read_parquet(DATA / "unfair_tos" / "train.parquet")["text"].unique(maintain_order=True)
    return texts.filter(texts.str.split(" ").list.len() >= 8).to_list()


def copies(seed: int = 0) -> dict[str, float]:
    """Plants 500 copies of train in test, half of them in another spelling."""
    rng, texts = np.random.default_rng(seed), clauses()
    chosen = set(rng.permutation(len(texts))[:500].tolist())
    table = [{"split": "train", "row": i, "text": text, "labels": [], "group": None} for i, text in enumerate(texts)]
    for number, i in enumerate(sorted(chosen)):
        text = texts[i] if number % 2 else "  " + texts[i].upper().replace(" ,", ",") + "!"
        table.append({"split": "test", "row": number, "text": text, "labels": [], "group": None})
    rows = rows_of(table, "multilabel")
    [leak] = [found for found in check_duplicates(rows, with_form(rows)) if found.kind == "test-in-train"]
    return {"planted": 500, "found": leak.count}


def near(seed: int = 0) -> dict[str, float]:
    """Plants 1,000 near-copies: a tenth of the words changed to other words of the data."""
    rng, texts = np.random.default_rng(seed), clauses()
    words = sorted({word for text in texts for word in text.split()})
    chosen = rng.permutation(len(texts))[:1000].tolist()
    changed = []
    for i in chosen:
        parts = texts[i].split(" ")
        for place in rng.choice(len(parts), size=max(1, round(0.1 * len(parts))), replace=False):
            parts[place] = words[rng.integers(len(words))]
        changed.append(" ".join(parts))
    forms = pl.DataFrame({"t": texts + changed}).select(normalised(pl.col("t"))).to_series()
    pairs, _ = near_pairs(forms)
    found = {tuple(pair) for pair in pairs.tolist()}
    hits = sum((i, len(texts) + number) in found for number, i in enumerate(chosen))
    return {"planted": 1000, "found": hits}


def flips(seed: int = 0) -> dict[str, float]:
    """Turns 3% of Banking77's training labels and looks at the first 100 suspects."""
    rng = np.random.default_rng(seed)
    frame = pl.read_csv(DATA / "banking77" / "train.csv")
    labels, names = frame["category"].to_list(), sorted(frame["category"].unique())
    wrong = set(rng.permutation(len(labels))[: round(0.03 * len(labels))].tolist())
    for i in wrong:
        others = [name for name in names if name != labels[i]]
        labels[i] = others[rng.integers(len(others))]
    table = [
        {"split": "train", "row": i, "text": text, "labels": [label], "group": None}
        for i, (text, label) in enumerate(zip(frame["text"], labels, strict=True))
    ]
    rows, start = rows_of(table, "multiclass"), time.monotonic()
    vectors = joined(embed_texts(doubtable(rows)["text"].to_list(), print))
    [finding] = check_suspects(rows, vectors)
    first = [place.row for place in finding.places[:100]]
    seconds = round(time.monotonic() - start, 1)
    return {
        "planted": len(wrong),
        "among_first_100": len(wrong & set(first)),
        "in_doubt": finding.count,
        "seconds": seconds,
    }


def paraphrases() -> dict[str, float]:
    """Gives the share of paraphrased pairs whose cosine reaches the threshold, and of all other pairs that do."""
    frame = pl.read_csv(ROOT / "benchmarks" / "paraphrases.csv")
    vectors = joined(embed_texts([*frame["text"], *frame["paraphrase"]], print))
    n = frame.height
    cosines = vectors[:n] @ vectors[n:].T
    own, others = np.diag(cosines), cosines[~np.eye(n, dtype=bool)]
    half = np.arange(n) % 2 == 1  # the threshold was chosen on the even ones
    return {
        "pairs": int(half.sum()),
        "found": int((own[half] >= ALIKE).sum()),
        "false_share": float((others >= ALIKE).mean()),
        "threshold": ALIKE,
    }


CHECKS = {"copies": copies, "near": near, "flips": flips, "paraphrases": paraphrases}


def render(found: dict[str, dict[str, float]]) -> str:
    """Gives the table."""
    lines = ["| planted | how many | found |", "|---|---|---|"]
    if part := found.get("copies"):
        share = part["found"] / part["planted"]
        lines.append(f"| copies of train in test, half in another spelling | {part['planted']} | {share:.1%} |")
    if part := found.get("near"):
        share = part["found"] / part["planted"]
        lines.append(f"| near-copies, a tenth of the words changed | {part['planted']:,} | {share:.1%} |")
    if part := found.get("paraphrases"):
        told = f"{part['found'] / part['pairs']:.1%}; of pairs that are none {part['false_share']:.2%}"
        lines.append(f"| paraphrases (`--deep`) | {part['pairs']} | {told} |")
    if part := found.get("flips"):
        told = f"{part['among_first_100']} of the first 100 suspects are flipped"
        lines.append(f"| flipped labels, 3% of Banking77's train (`--deep`) | {part['planted']} | {told} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CHECKS), default=list(CHECKS))
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    given = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for name in [] if given.render else given.only:
        found[name] = CHECKS[name]()
        print(name, found[name], flush=True)
        write_json(RESULTS, found)
    write_section("planted_faults", render(found), PAGE)


if __name__ == "__main__":
    main()
