"""How fast the data doctor is, beside named alternatives in the same run. Writes benchmarks/results/check.json and prints a table.

    python benchmarks/check.py [--only short million ten flagship] [--quick]

short: rows, exact and near duplicates of 100,000 short texts, beside datasketch's MinHashLSH (its defaults, words as shingles)
for the near ones; memory is the peak of a process of its own above what it had after the same work on 300 rows, and the file's size
stands beside it.
million: 1,000,000 rows read, validated and fingerprinted (survey.py; no copies are looked for), beside the same work in pandas (read,
missing and unknown labels, a SHA-256 over texts and labels). ten: ten times the rows against once.
flagship: the check of UNFAIR-ToS (SMALLPRINT_DATA, default ../shared), fast and deep.
Texts are drawn from the words of the sample corpus, one in
fifty a copy and one in fifty a near-copy.
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
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.core.files import write_json
from survey import survey_source

REPEATS = 3
PARTS = ["million", "ten", "flagship", "short"]
Took = tuple[float, float, float]
DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "check.json"


def write_texts(path: Path, n: int, seed: int = 0) -> None:
    """Writes `n` short texts with labels, as Parquet or CSV."""
    from smallprint.data.read import open_source

    rng = np.random.default_rng(seed)
    words = sorted({word for text in open_source("sample").read(None)["text"] for word in text.split()})
    lengths = rng.integers(6, 18, size=n)
    drawn = rng.integers(0, len(words), size=int(lengths.sum()))
    ends = np.cumsum(lengths)
    texts = [" ".join(words[i] for i in drawn[end - size : end]) for end, size in zip(ends, lengths, strict=True)]
    for i in range(0, n, 50):
        texts[i] = texts[(i * 7 + 13) % n]
        other = texts[(i * 11 + 5) % n].split(" ")
        other[int(rng.integers(len(other)))] = words[int(rng.integers(len(words)))]
        texts[(i + 25) % n] = " ".join(other)
    frame = pl.DataFrame({"text": texts, "label": [f"l{i}" for i in rng.integers(0, 20, size=n)]})
    if path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_parquet(path, compression="uncompressed")


# each step runs alone in a process: what it takes, and the peak of memory above importing
def step_nothing(path: Path) -> None:
    """Imports what the others use."""
    import smallprint.check.command  # noqa: F401


def step_doctor(path: Path) -> None:
    """Rows, exact and near duplicates."""
    from smallprint.check.duplicates import check_duplicates, with_form
    from smallprint.check.near import check_near
    from smallprint.check.reading import read_rows
    from smallprint.check.rows import check_rows
    from smallprint.core.config import DataConfig
    from smallprint.data.read import open_source

    rows, _, _ = read_rows(open_source(str(path)), DataConfig(), ("train",))
    check_rows(rows)
    formed = with_form(rows)
    found = [*check_duplicates(rows, formed), *check_near(rows, formed)]
    print({finding.kind: finding.count for finding in found}, file=sys.stderr)


def step_datasketch(path: Path) -> None:
    """Near duplicates alone."""
    from datasketch import MinHash, MinHashLSH

    texts = pl.read_parquet(path)["text"].to_list()
    index, found = MinHashLSH(threshold=0.7, num_perm=64), 0
    for i, text in enumerate(texts):
        sketch = MinHash(num_perm=64)
        sketch.update_batch([word.encode() for word in set(text.lower().split())])
        found += len(index.query(sketch))
        index.insert(i, sketch)
    print({"pairs": found}, file=sys.stderr)


def step_read(path: Path) -> None:
    """Reads, validates and fingerprints."""
    from smallprint.core.config import DataConfig
    from smallprint.data.read import open_source
    from smallprint.data.schema import detect_schema

    source = open_source(str(path))
    schema = detect_schema(source, DataConfig())
    print(survey_source(source, schema)["train"].fingerprint[:12], file=sys.stderr)


def step_flagship(path: Path) -> None:
    """The whole check of a folder."""
    from smallprint.check.command import check_data

    print({finding.kind: finding.count for finding in check_data(str(path)).findings}, file=sys.stderr)


def step_flagship_deep(path: Path) -> None:
    """The same with labels in doubt and texts alike in meaning."""
    from smallprint.check.command import check_data

    print({finding.kind: finding.count for finding in check_data(str(path), deep=True).findings}, file=sys.stderr)


def step_pandas(path: Path) -> None:
    """The same in pandas."""
    import hashlib

    import pandas as pd

    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    assert not frame["text"].isna().any()
    assert not (frame["text"].str.strip() == "").any()
    assert not frame["label"].isna().any()
    known = set(frame["label"].unique())
    assert frame["label"].isin(known).all()
    assert frame["label"].map(lambda label: isinstance(label, str)).all()
    digest = hashlib.sha256()
    for text, label in zip(frame["text"], frame["label"], strict=True):
        digest.update(f"{len(text)}:{text}{len(label)}:{label}\n".encode())
    print(digest.hexdigest()[:12], file=sys.stderr)


def run(step: str, path: Path) -> tuple[float, float, float]:
    """Gives seconds, peak memory in MB and seconds of the processors of one step in a process of its own, imports not counted."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    command = [sys.executable, __file__, "--step", step, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    print(step, done.stderr.strip().splitlines()[-1:] or "", flush=True)
    seconds, peak, used = json.loads(done.stdout)
    return seconds, peak, used


def middle(pairs: list[tuple[Took, Took]]) -> tuple[Took, Took]:
    """Gives the pair with the median ratio of seconds."""
    return sorted(pairs, key=lambda pair: pair[1][0] / pair[0][0])[len(pairs) // 2]


def child(step: str, path: Path) -> None:
    """Runs one step and prints what it took."""
    step_nothing(path)
    if not path.is_dir():
        with tempfile.TemporaryDirectory() as folder:  # what runs once is loaded, and its code takes memory
            small = Path(folder) / f"small{path.suffix}"
            write_texts(small, 300)
            globals()[f"step_{step}"](small)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: a process inherits its parent's
    before = peak_mb()
    start, used = time.perf_counter(), time.process_time()
    globals()[f"step_{step}"](path)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    print(json.dumps([seconds, peak_mb() - before, used]))


def peak_mb() -> float:
    """Gives the most memory that this process has had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def processor() -> str:
    """Gives what this processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def render(found: dict[str, dict[str, Any]]) -> str:
    """Gives the table."""
    lines = ["| what | seconds | memory | beside it |", "|---|---|---|---|"]
    for kind in ("parquet", "csv"):
        part = found[f"million.{kind}"]
        told = f"pandas {part['pandas_seconds']:.1f} s, {part['pandas_extra_mb']:.0f} MB: {part['times_faster']:.1f} times faster"
        name = f"{part['rows']:,} rows of {kind.upper() if kind == 'csv' else 'Parquet'} validated and fingerprinted"
        lines.append(f"| {name} | {part['seconds']:.2f} | {part['extra_mb']:.0f} MB | {told} |")
    ten, short = found["ten"], found["short"]
    used = ten["processor_seconds"][1] / ten["processor_seconds"][0]
    lines.append(
        f"| the same Parquet beside a tenth of its rows | {ten['seconds'][1]:.2f} | | {ten['seconds'][0]:.2f} s: "
        f"{ten['ratio']:.1f} times the time (of processors: {used:.1f}) |"
    )
    told = f"datasketch, near-copies alone: {short['datasketch_seconds']:.0f} s, {short['datasketch_extra_mb']:.0f} MB"
    name = f"{short['rows']:,} short texts ({short['file_mb']:.1f} MB): rows, copies, near-copies"
    lines.append(f"| {name} | {short['seconds']:.1f} | {short['extra_mb']:.0f} MB | {told} |")
    for key, name in (("flagship", "UNFAIR-ToS, all that is fast"), ("flagship_deep", "UNFAIR-ToS with `--deep`")):
        if part := found.get(key):
            told = f"{part['processor_seconds']:.1f} s of processors"
            lines.append(f"| {name} | {part['seconds']:.1f} | {part['extra_mb']:.0f} MB | {told} |")
    known = {part["processor"] for part in found.values() if "processor" in part}
    if known and not all("processor" in part for part in found.values()):
        lines += [
            "",
            f"The rows of a million were measured on another processor ({', '.join(sorted(known))}) than the others.",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        return child(given.step[0], Path(given.step[1]))
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    part = 10 if given.quick else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for suffix in (".parquet", ".csv") if "million" in given.only else ():
            path = folder / f"million{suffix}"
            write_texts(path, 1_000_000 // part)
            ours, theirs = middle([(run("read", path), run("pandas", path)) for _ in range(REPEATS)])
            found[f"million{suffix}"] = {
                "rows": 1_000_000 // part,
                "file_mb": path.stat().st_size / 1e6,
                "seconds": ours[0],
                "pandas_seconds": theirs[0],
                "times_faster": theirs[0] / ours[0],
                "extra_mb": ours[1],
                "pandas_extra_mb": theirs[1],
                "processor_seconds": ours[2],
                "pandas_processor_seconds": theirs[2],
                "processor": processor(),
            }
        if "ten" in given.only:
            paths = [folder / f"ten{n}.parquet" for n in (100_000 // part, 1_000_000 // part)]
            for path, n in zip(paths, (100_000 // part, 1_000_000 // part), strict=True):
                write_texts(path, n)
            times = [
                [run("read", path) for path in paths] for _ in range(REPEATS)
            ]  # in turns; the least of each counts
            seconds, used = ([min(took[k][place] for took in times) for k in (0, 1)] for place in (0, 2))
            found["ten"] = {"seconds": seconds, "ratio": seconds[1] / seconds[0], "processor_seconds": used}
            found["ten"]["processor"] = processor()
        write_json(RESULTS, found)
        if "flagship" in given.only:
            for step in ("flagship", "flagship_deep"):
                took = run(step, DATA / "unfair_tos")
                found[step] = {"seconds": took[0], "processor_seconds": took[2], "extra_mb": took[1]}
                write_json(RESULTS, found)
        if "short" in given.only:
            path = folder / "short.parquet"
            write_texts(path, 100_000 // part)
            ours, theirs = run("doctor", path), run("datasketch", path)
            size = path.stat().st_size / 1e6
            found["short"] = {"rows": 100_000 // part, "file_mb": size, "seconds": ours[0], "extra_mb": ours[1]}
            found["short"] |= {"processor_seconds": ours[2], "datasketch_processor_seconds": theirs[2]}
            found["short"] |= {"datasketch_seconds": theirs[0], "datasketch_extra_mb": theirs[1]}
    for key, row in found.items():
        print(key, {name: round(v, 2) if isinstance(v, float) else v for name, v in row.items()})
    write_json(RESULTS, found)
    write_section("check", render(found), ROOT / "docs" / "check.md")
    return None


if __name__ == "__main__":
    main()
