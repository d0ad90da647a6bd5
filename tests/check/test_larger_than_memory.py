"""A file several times larger than what the check may take: it is read in batches, in a process of its own that is measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = 200  # rows of 8 KB
CHILD = """
import gc, json, sys
from pathlib import Path
from smallprint.check.command import check_data

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))

check_data(sys.argv[1])
gc.collect()
Path("/proc/self/clear_refs").write_text("5")
before = peak()
report = check_data(sys.argv[2])
print(json.dumps({"extra_mb": peak() - before, "rows": report.rows, "kinds": [found.kind for found in report.findings],
                  "first": report.findings[0].places[0].text if report.findings else ""}))
"""


def write(path: Path, rows: int) -> float:
    """Writes rows whose first and last text is the same; gives megabytes."""
    import polars as pl

    noise = os.urandom(4000 * rows).hex()
    texts = [" ".join(noise[i + k : i + k + 400] for k in range(0, 8000, 400)) for i in range(0, len(noise), 8000)]
    texts[-1] = texts[0]
    frame = pl.DataFrame({"text": texts, "label": ["a", "b"] * (rows // 2)})
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[path.suffix](path)
    return path.stat().st_size / 1e6


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    ("suffix", "rows", "most"), [("csv", 12_000, 0.6), ("jsonl", 5_000, 0.5), ("parquet", 5_000, 0.75)]
)
def test_memory_stays_far_below_the_file(tmp_path, suffix, rows, most):
    write(tmp_path / f"small.{suffix}", SMALL)
    size = write(tmp_path / f"large.{suffix}", rows)
    paths = [str(tmp_path / f"{name}.{suffix}") for name in ("small", "large")]
    done = subprocess.run([sys.executable, "-c", CHILD, *paths], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["rows"] == {"train": rows}
    assert "contradiction" in told["kinds"], "the first text stands in the last row with another label"
    assert told["first"], "places quote texts though none is kept"
    assert told["extra_mb"] < most * size, f"{told['extra_mb']:.0f} MB for a file of {size:.0f} MB"
