"""Kills a training with SIGKILL at random moments, resumes it, and compares weights and metrics bit by bit.

    python benchmarks/resume.py [--kills 20] [--seed 0]

Trains on the sample corpus (short texts of it, two epochs), with a resumable checkpoint every two seconds.
Writes benchmarks/results/resume.json; exits with 1 if any resumed run differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "resume.json"
SETTINGS = ["training.epochs=2", "training.checkpoint_minutes=0.03", "model.max_length=16", "training.batch_tokens=512"]
FILES = ("metrics.json", "bundle/model.safetensors")


def command(scratch: Path, *arguments: str) -> list[str]:
    sets = [part for setting in [*SETTINGS, f"tracking.root={scratch}"] for part in ("--set", setting)]
    return [sys.executable, "-m", "smallprint", "train", *arguments, *([] if "--resume" in arguments else sets)]


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        start = time.monotonic()
        whole = scratch / "whole"
        subprocess.run(
            command(scratch, "sample", "--out", str(whole)), check=True, env=environment, stderr=subprocess.DEVNULL
        )
        duration = time.monotonic() - start
        expected = digests(whole)
        for number in range(arguments.kills):
            folder = scratch / f"run{number}"
            moment = rng.uniform(0.0, duration)
            process = subprocess.Popen(
                command(scratch, "sample", "--out", str(folder)),
                env=environment,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            while not (folder / "run.json").exists() and process.poll() is None:
                time.sleep(0.01)  # before that there is no run to resume
            time.sleep(moment)
            ended = process.poll() is not None
            if not ended:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            had = (folder / "checkpoints" / "last.safetensors").exists()
            resumed = subprocess.run(
                command(scratch, "--resume", str(folder)),
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            same = resumed.returncode == 0 and digests(folder) == expected
            rows.append(
                {"killed_after_s": round(moment, 2), "had_ended": ended, "had_checkpoint": had, "identical": same}
            )
            print(rows[-1], flush=True)
            if not same:
                print(resumed.stderr[-2000:], file=sys.stderr)
    result = {
        "kills": len(rows),
        "identical": sum(row["identical"] for row in rows),
        "seconds_whole": round(duration, 1),
        "seed": arguments.seed,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{result['identical']} of {result['kills']} resumed runs ended with identical weights and metrics")
    return 0 if result["identical"] == result["kills"] else 1


if __name__ == "__main__":
    sys.exit(main())
