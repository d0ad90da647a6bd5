"""What a second trial of a frozen encoder costs, in the same process and in another, of what the first cost.

    python benchmarks/frozen.py [--rows 10000] [--backbone minilm] [--render]

A trial is what a sweep does of one: encoder and tokenizer loaded, texts of UNFAIR-ToS's train and validation (SMALLPRINT_DATA)
tokenized and read, a head fitted and validation scored. The start of a process, with all that it imports, is not counted. Each head
begins with an empty cache of its own; one process does two trials, with other dropout or cost in the second, and another
process one more. Writes benchmarks/results/frozen.json and the table in docs/speed.md, in three minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.core.parts import Parts
from smallprint.core.settings import load_config
from smallprint.data.examples import Examples
from smallprint.data.split import Splits
from smallprint.families import build_fit
from smallprint.modeling.backbone import load_backbone, load_tokenizer
from smallprint.training.fit import seed_everything
from smallprint.training.stored import VectorCache
from smallprint.training.tracking import Tracker
from task import open_task

RESULTS, PAGE = ROOT / "benchmarks" / "results" / "frozen.json", ROOT / "docs" / "speed.md"
HEADS = {
    "linear": (["model.head=linear"], "model.dropout=0.2"),
    "svm": (["model.head=svm", "model.layers=[2,4,6]"], "model.svm.cost=3.0"),
}


def trials(head: str, rows: int, backbone: str, number: int) -> list[float]:
    """Gives the seconds of so many trials, one after the other, in this process."""
    own, other = HEADS[head]
    sets = ["model.adapter=frozen", f"model.backbone={backbone}", "tracking.enabled=false", *own]
    splits, labels = open_task("unfair-tos", load_config(None, sets))
    train, validation = (Examples(s.split, s.frame[:rows]) for s in (splits.train, splits.validation))
    part = Splits(train, validation, splits.open_test, "")
    load_tokenizer(backbone), load_backbone(backbone), import_module("sklearn.svm")  # what they import is not counted
    gc.collect()  # likewise: Python would look through all that was imported once more, within some trial
    cache, spent = VectorCache(scoring=True, by_order=True), []
    for trial in range(number):
        config = load_config(None, [*sets, *([other] if trial else [])])
        start = time.perf_counter()
        seed_everything(config.training.seed)
        with tempfile.TemporaryDirectory() as folder:
            build_fit(part, labels, config, Parts(), Path(folder), str, cache)(Tracker(config, "frozen", str, None))
        spent.append(time.perf_counter() - start)
    return spent


def measure(rows: int, backbone: str) -> dict[str, Any]:
    found = {}
    for head in HEADS:
        with tempfile.TemporaryDirectory() as kept:
            seconds: list[float] = []
            for number in (2, 1):
                command = [sys.executable, __file__, "--head", head, "--rows", str(rows), "--backbone", backbone]
                command += ["--trials", str(number)]
                environment = os.environ | {"SMALLPRINT_CACHE": kept}
                done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
                seconds += json.loads(done.stdout.splitlines()[-1])
            megabytes = sum(path.stat().st_size for path in Path(kept).rglob("*") if path.is_file()) / 1e6
        found[head] = {"first": seconds[0], "second": seconds[1], "in_another_process": seconds[2], "mb": megabytes}
        print(head, found[head], flush=True)
    return {"rows": rows, "backbone": backbone, "heads": found}


def render(found: dict[str, Any]) -> str:
    lines = [
        "| head | first trial, s | second, s | in another process, s | of the first | kept, MB |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['first']:.1f} | {row['second']:.2f} | {row['in_another_process']:.2f} | "
        f"{100 * row['second'] / row['first']:.1f}%, {100 * row['in_another_process'] / row['first']:.1f}% | {row['mb']:.0f} |"
        for name, row in found["heads"].items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="at most, of each split")
    parser.add_argument("--backbone", default="minilm")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--render", action="store_true", help="only write the table from the results file")
    parser.add_argument("--head", choices=list(HEADS), help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trials:
        print(json.dumps(trials(given.head, given.rows, given.backbone, given.trials)))
        return
    if not given.render:
        write_json(given.out, measure(given.rows, given.backbone))
    if given.out == RESULTS:
        write_section("frozen", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)


if __name__ == "__main__":
    main()
