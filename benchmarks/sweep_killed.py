"""Twenty trials of a frozen MiniLM by the command: how long, and does one that was killed find the same?

    python benchmarks/sweep_killed.py [--trials 20] [--kill-after 9]

The first sweep reads every text of UNFAIR-ToS (SMALLPRINT_DATA, default ../shared) with an empty cache. The second, in another folder,
gets SIGKILL as soon as that many trials are done, and the same command again. Times are of whole processes: start, retraining of the
winner over seeds and the page included. Writes benchmarks/results/sweep_killed.json; exits with 1 if the trials differ.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from readme import ROOT, write_section
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared")) / "unfair_tos"
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "sweep_killed.json", ROOT / "docs" / "sweep.md"


def start(scratch: Path, out: Path, trials: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "smallprint", "sweep", str(DATA), "--adapter", "frozen", "--trials", str(trials)]
    command += ["--out", str(out), "--set", f"tracking.root={scratch}"]
    return subprocess.Popen(command, env={**os.environ, "SMALLPRINT_CACHE": str(scratch / "cache")})


def finished(out: Path) -> int:
    """Gives how many trials of a sweep are done."""
    if not (out / "study.db").exists():
        return 0
    try:
        with sqlite3.connect(f"file:{out / 'study.db'}?mode=ro", uri=True) as study:
            return int(study.execute("select count(*) from trials where state in ('COMPLETE', 'PRUNED')").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0


def told(out: Path) -> dict[str, Any]:
    found = json.loads((out / "sweep.json").read_text(encoding="utf-8"))
    return {"best": found["best"], "trials": [(trial["settings"], trial["value"]) for trial in found["trials"]]}


def render(found: dict[str, Any]) -> str:
    """Gives the sentence."""
    same = "the same best trial" if found["same_best"] else "**another best trial**"
    return (
        f"UNFAIR-ToS, two cores, {found['trials']} trials of a frozen MiniLM, nothing read before: {found['seconds'] / 60:.1f} minutes, "
        f"the winner's retraining included. Killed after {found['killed_after']} trials and started again, it ended with {same}, and "
        f"{found['same_trials']} of {found['trials']} trials had the same settings and value (`python benchmarks/sweep_killed.py`)."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--kill-after", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch, times = Path(name), []
        for folder in ("whole", "killed"):
            began = time.monotonic()
            process = start(scratch, scratch / folder, given.trials)
            if folder == "killed":
                while finished(scratch / folder) < given.kill_after and process.poll() is None:
                    time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
                assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
                done = finished(scratch / folder)
                process = start(scratch, scratch / folder, given.trials)
            if process.wait():
                raise SystemExit(f"the sweep ended with code {process.returncode}")
            times.append(time.monotonic() - began)
        whole, killed = told(scratch / "whole"), told(scratch / "killed")
    same = sum(one == other for one, other in zip(whole["trials"], killed["trials"], strict=True))
    found = {
        "trials": given.trials,
        "seconds": round(times[0], 1),
        "seconds_killed_and_resumed_with_texts_read": round(times[1], 1),
        "killed_after": done,
        "same_best": whole["best"] == killed["best"],
        "same_trials": same,
        "best": whole["best"],
    }
    write_json(RESULTS, found)
    write_section("sweep_killed", render(found), PAGE)
    print(found)
    return 0 if found["same_best"] and same == given.trials else 1


if __name__ == "__main__":
    sys.exit(main())
