"""Clauses a second and latency: exported bundles beside a transformers pipeline. Writes benchmarks/results/inference.json.

    python benchmarks/inference.py RUN ONNX [INT8] [OPENVINO]

RUN is the trained model, the others are its exports. The pipeline runs the same encoder with a classifier of its own (the same work; its
answers are another matter) by its default settings (one text at a time) and by the best of what it offers here: batches of 8, 32 and
128, with and without sorting by length. Texts are test clauses of UNFAIR-ToS (SMALLPRINT_DATA); labels are not read. The share of the peak
is of what one matrix product of the encoder's own shapes reaches in the same run: numpy's in fp32, onnxruntime's of whole numbers for int8,
whoever runs it; both by their least time.
Scanned are the six documents of tos_documents, by the command, start included, once.
Other times are the median of three, those of single clauses of five rounds of 200, in which all take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from readme import ROOT, write_section
from smallprint.core.files import write_json

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "inference.json"
SINGLE, REPEATS, ROUNDS = 200, 3, 5
PAGE = ROOT / "docs" / "export.md"


def times_of(work: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def seconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    return statistics.median(times_of(work, repeats))


def latencies_ms(works: dict[str, Callable[[str], Any]], texts: list[str]) -> dict[str, dict[str, float]]:
    """Gives each one's quantiles over single texts: the median of some rounds, in which all take turns."""
    rounds: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in works}
    for _ in range(ROUNDS):
        for kind, work in works.items():
            for text in texts[:10]:
                work(text)
            times = []
            for text in texts:
                start = time.perf_counter()
                work(text)
                times.append(1000 * (time.perf_counter() - start))
            rounds[kind].append(np.quantile(times, [0.5, 0.99]))
    middle = {kind: np.median(found, axis=0) for kind, found in rounds.items()}
    return {kind: {"p50_ms": float(p50), "p99_ms": float(p99)} for kind, (p50, p99) in middle.items()}


def peak_gflops(width: int, inner: int, rows: int = 1024) -> float:
    rng = np.random.default_rng(0)
    left, right = rng.random((rows, width), dtype=np.float32), rng.random((width, inner), dtype=np.float32)
    left @ right
    return 2 * rows * width * inner / min(times_of(lambda: left @ right, 200)) / 1e9


def int8_peak_gflops(width: int, inner: int, rows: int = 1024) -> float:
    """Gives the same for whole numbers of 8 bits, two operations a product."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = {
        "w": rng.integers(-127, 127, (width, inner)).astype(np.int8),
        "middle": np.uint8(128),
        "zero": np.int8(0),
    }
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["x", "w", "middle", "zero"], ["y"])],
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, width])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [rows, inner])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feed = {"x": rng.integers(0, 255, (rows, width)).astype(np.uint8)}
    session.run(None, feed)
    return 2 * rows * width * inner / min(times_of(lambda: session.run(None, feed), 200)) / 1e9


def scan_seconds(place: str, folder: Path) -> dict[str, float]:
    """Gives the time of `smallprint scan` on six documents to JSON and to HTML, start included, and the sentences a second."""
    documents = sorted(str(path) for path in (DATA / "tos_documents").glob("*.txt"))
    spent = {}
    for form in ("json", "html"):
        command = [sys.executable, "-m", "smallprint", "scan", place, *documents, "-o", str(folder / f"scan.{form}")]
        spent[form] = seconds(lambda command=command: subprocess.run(command, check=True, capture_output=True), 1)
    found = json.loads((folder / "scan.json").read_text(encoding="utf-8"))["documents"]
    sentences = sum(entry["sentences"] for entry in found)
    return {"sentences": sentences, "json_seconds": spent["json"], "html_seconds": spent["html"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="left out: only write the table from the results file")
    parser.add_argument("exports", nargs="*")
    parser.add_argument("--texts", type=int, default=600)
    given = parser.parse_args()
    if given.run is None:
        write_section("inference", render(json.loads(RESULTS.read_text(encoding="utf-8"))), PAGE)
        return
    from transformers import AutoModelForSequenceClassification, pipeline

    from smallprint.inference.engine import load_engine
    from smallprint.packaging.bundle import find_bundle

    frame = pl.read_parquet(DATA / "unfair_tos" / "test.parquet")
    count = given.texts
    texts = frame.sample(count, seed=7)["text"].to_list()
    torch_engine = load_engine(find_bundle(given.run))
    scorer: Any = torch_engine.scorer
    config = scorer.classifier.backbone.config
    config.num_labels, config.problem_type = torch_engine.labels.n_outputs, "multi_label_classification"
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.base_model.load_state_dict(scorer.classifier.backbone.state_dict(), strict=False)
    pipe = pipeline(
        "text-classification", model=model, tokenizer=scorer.tokenizer, top_k=None, truncation=True, max_length=256
    )
    results: dict[str, Any] = {"texts": count, "rows": {}}
    rows = results["rows"]
    rows["pipeline, defaults"] = {"a_second": count / seconds(lambda: pipe(texts))}
    single: dict[str, Callable[[str], Any]] = {"pipeline, defaults": pipe}
    best: tuple[float, str] = (0.0, "")
    by_length = sorted(texts, key=len)
    for size in (8, 32, 128):
        for name, chosen in (("", texts), (", sorted", by_length)):
            rate = count / seconds(lambda size=size, chosen=chosen: pipe(chosen, batch_size=size), 1)
            best = max(best, (rate, f"batches of {size}{name}"))
    rows["pipeline, best"] = {"a_second": best[0], "settings": best[1]}
    rows["bundle, torch"] = {"a_second": count / seconds(lambda: torch_engine.score(texts))}
    single["bundle, torch"] = lambda text: torch_engine.score([text])
    lengths = [len(ids) for ids in scorer._tokenize(texts).ids]
    tokens, width, inner, layers = sum(lengths), config.hidden_size, config.intermediate_size, config.num_hidden_layers
    peaks = {"fp32": peak_gflops(width, inner), "int8": int8_peak_gflops(width, inner)}
    work = 2 * layers * (tokens * (4 * width**2 + 2 * width * inner) + 2 * width * sum(n * n for n in lengths)) / 1e9
    for place in given.exports:
        engine = load_engine(find_bundle(place))
        weights = getattr(engine.scorer, "weights", "fp32")
        by = "openvino" if getattr(engine.scorer, "runtime", "") == "openvino" else "onnx"
        kind = f"bundle, {by} {weights}"
        times = times_of(lambda engine=engine: engine.score(texts), ROUNDS)  # type: ignore[misc]
        rate = work / min(times)  # as the peak is of its quickest product
        rows[kind] = {
            "a_second": count / statistics.median(times),
            "gflops": rate,
            "share_of_peak": rate / peaks[weights],
        }
        single[kind] = lambda text, engine=engine: engine.score([text])  # type: ignore[misc]
    for kind, found in latencies_ms(single, texts[:SINGLE]).items():
        rows[kind] |= found
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "one.csv"
        path.write_text("text\nwe may close your account at any time\n", encoding="utf-8")
        for place in given.exports:
            command = [sys.executable, "-m", "smallprint", "predict", place, str(path), "-o", str(Path(name) / "o.csv")]
            spent = seconds(lambda command=command: subprocess.run(command, check=True, capture_output=True))
            results.setdefault("start_to_answer_seconds", {})[Path(place).name] = spent
            results.setdefault("scan", {})[Path(place).name] = scan_seconds(place, Path(name))
        model.save_pretrained(name)
        scorer.tokenizer.save_pretrained(name)
        code = f"from transformers import pipeline\npipeline('text-classification', model={name!r})('we may close your account')"
        spent = seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True))
        results["start_to_answer_seconds"]["pipeline"] = spent
    results["peak_gflops"] = peaks
    for name, row in rows.items():
        row["times_default"] = row["a_second"] / rows["pipeline, defaults"]["a_second"]
        row["times_best"] = row["a_second"] / best[0]
        print(f"{name:22}", {key: round(value, 2) if isinstance(value, float) else value for key, value in row.items()})
    print(results["start_to_answer_seconds"], results["scan"], {name: round(value) for name, value in peaks.items()})
    write_json(RESULTS, results)
    write_section("inference", render(results), PAGE)


def render(results: dict[str, Any]) -> str:
    lines = [
        "| | clauses a second | times the default | times the best | one clause, p50 | p99 |",
        "|---|---|---|---|---|---|",
    ]
    usual, told_of = results["rows"]["pipeline, defaults"], []
    for name, row in results["rows"].items():
        single = [f"{row[key]:.1f} ms" if key in row else "" for key in ("p50_ms", "p99_ms")]
        told = f"{row['a_second']:.0f} | {row['times_default']:.1f} | {row['times_best']:.1f} | {' | '.join(single)}"
        lines.append(f"| {name} | {told} |")
        if "p50_ms" in row and row is not usual:
            shares_of = [f"{row[key] / usual[key]:.2f}" for key in ("p50_ms", "p99_ms")]
            told_of.append(f"{name} {' and '.join(shares_of)}")
    starts = ", ".join(f"{name} {spent:.1f} s" for name, spent in results["start_to_answer_seconds"].items())
    shares = []
    for name, row in results["rows"].items():
        if "gflops" in row:
            share = f" ({100 * row['share_of_peak']:.0f}%)" if "share_of_peak" in row else ""
            shares.append(f"{name} {row['gflops']:.0f}{share}")
    lines += ["", f"One clause, p50 and p99, as shares of the pipeline's: {', '.join(told_of)}."]
    lines += [
        "",
        f"Process start to one answer: {starts}. GFLOP/s, and the share of what one matrix product of the encoder's size "
        f"reaches here: {', '.join(shares)}.",
    ]
    for name, scan in results.get("scan", {}).items():
        told = f"{scan['json_seconds']:.1f} s to JSON, {scan['html_seconds']:.1f} s to HTML"
        a_second = scan["sentences"] / scan["json_seconds"]
        lines.append(f"Six documents scanned by {name}: {told}, {a_second:.0f} sentences a second, start included.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
