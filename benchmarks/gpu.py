"""On one GPU: seconds an epoch beside a Hugging Face Trainer, share of the card's peak, QLoRA, memory running out. Writes
benchmarks/results/gpu.json.

    python benchmarks/gpu.py [--decoder GGUF] [--skip PART ...]

Data is UNFAIR-ToS (SMALLPRINT_DATA, default ../shared); the encoder is the embedded MiniLM, and for the share of the peak an encoder of
BERT-base's size with random weights. The peak is a matrix product of 8,192 x 8,192 in bf16, measured in the same run; the work counted is
6 operations a weight and token besides embeddings, and attention's own. An epoch is the mean of all but the first.
"""

from __future__ import annotations

import argparse
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
import torch

from peers.hf_trainer import train_trainer
from readme import ROOT
from smallprint.core.files import write_json
from smallprint.modeling.sources import find_place

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
EPOCHS = 4


def train(data: Path, out: Path, *sets: str, backbone: str = "minilm", before: str = "") -> dict[str, Any]:
    """Gives timings and metrics of one training in a process of its own; `before` is Python run first in it."""
    words = ["train", str(data), "--backbone", backbone, "--out", str(out), "--task", "multilabel"]
    for one in ("tracking.enabled=false", *sets):
        words += ["--set", one]
    code = f"import torch\n{before}\nfrom smallprint.cli.app import main\nmain({words!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        return {"failed": done.stderr[-1500:]}
    timings = json.loads((out / "timings.json").read_text(encoding="utf-8"))
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {**timings, "metrics": metrics, "said": [line for line in done.stderr.splitlines() if "emory" in line]}


def trainer_epoch(recipe: str) -> dict[str, float]:
    """Gives seconds an epoch of Hugging Face's Trainer with the same encoder; 'best' multiplies in bf16."""
    frame = pl.read_parquet(DATA / "unfair_tos" / "train.parquet")
    targets = np.zeros((len(frame), 8), dtype=np.float32)
    for row, ids in enumerate(frame["labels"].to_list()):
        targets[row, ids] = 1
    made = train_trainer(
        recipe,
        find_place("minilm").path,
        frame["text"].to_list(),
        targets,
        [],
        epochs=EPOCHS,
        rate=3e-5,
        bf16=recipe == "best",
    )
    return {"epoch_s": float(np.mean(made.epoch_s[1:]))}


def peak_tflops() -> float:
    """Gives what a matrix product in bf16 reaches here."""
    one = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(5):
        one @ one
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(30):
        one @ one
    torch.cuda.synchronize()
    return 30 * 2 * 8192**3 / (time.perf_counter() - start) / 1e12


def base_size(folder: Path) -> Path:
    """Writes an encoder of BERT-base's size with random weights, MiniLM's tokenizer beside it."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    BertModel(BertConfig(), add_pooling_layer=False).save_pretrained(folder)
    AutoTokenizer.from_pretrained(find_place("minilm").path).save_pretrained(folder)
    return folder


def repeated(folder: Path, times: int) -> Path:
    """Writes UNFAIR-ToS with its train split so many times over, so that an epoch lasts."""
    folder.mkdir()
    for split in ("train", "validation", "test"):
        frame = pl.read_parquet(DATA / "unfair_tos" / f"{split}.parquet")
        pl.concat([frame] * (times if split == "train" else 1)).write_parquet(folder / f"{split}.parquet")
    return folder


def share_of_peak(folder: Path, sets: tuple[str, ...]) -> dict[str, float]:
    """Gives examples a second and the share of the peak that a base-size encoder reaches at 16k tokens a batch."""
    from transformers import AutoTokenizer

    data, encoder = repeated(folder / "data", 8), base_size(folder / "encoder")
    found = train(
        data, folder / "run", "training.batch_tokens=16384", "training.epochs=3", *sets, backbone=str(encoder)
    )
    if "failed" in found:
        return found
    texts = pl.read_parquet(data / "train.parquet")["text"].to_list()
    lengths = [len(ids) for ids in AutoTokenizer.from_pretrained(str(encoder))(texts[: len(texts) // 8])["input_ids"]]
    lengths = [min(256, length) for length in lengths] * 8
    weights, width, layers = 12 * (4 * 768**2 + 2 * 768 * 3072), 768, 12
    work = 6 * weights * sum(lengths) + 12 * layers * width * sum(n * n for n in lengths)
    return {
        "epoch_s": found["seconds_per_epoch"],
        "examples_a_second": len(texts) / found["seconds_per_epoch"],
        "tflops": work / found["seconds_per_epoch"] / 1e12,
        "padding_share": found["padding_share"],
    }


class Results(dict[str, Any]):
    """Results that are on disk as soon as they are there: a GPU may be lent for minutes only."""

    def __init__(self, file: Path, start: dict[str, Any]) -> None:
        super().__init__(start)
        self.file = file

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        write_json(self.file, dict(self))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoder", help="GGUF file of a decoder LLM, for QLoRA; left out without it")
    parser.add_argument("--skip", nargs="*", default=[], help="of trainer, ours, peak, qlora, memory")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("There is no GPU here.")
    results = Results(given.out, {"device": torch.cuda.get_device_name(0), "torch": torch.__version__})
    with tempfile.TemporaryDirectory() as name:
        folder, unfair = Path(name), DATA / "unfair_tos"
        if "ours" not in given.skip:
            for tokens in (1024, 8192):
                results[f"ours, {tokens} tokens"] = kept(
                    train(unfair, folder / f"o{tokens}", f"training.batch_tokens={tokens}", f"training.epochs={EPOCHS}")
                )
        if "trainer" not in given.skip:
            for recipe in ("common", "best"):
                results[f"trainer, {recipe}"] = trainer_epoch(recipe)
        if "peak" not in given.skip:
            results["peak_tflops"] = peak_tflops()
            (folder / "base").mkdir()
            results["base size, 16k tokens"] = share_of_peak(folder / "base", ())
        if "qlora" not in given.skip and given.decoder:
            for adapter in ("qlora", "lora"):
                results[adapter] = kept(
                    train(unfair, folder / adapter, f"model.adapter={adapter}", "model.max_length=128",
                          "training.epochs=1", "training.batch_tokens=4096", backbone=given.decoder)
                )  # fmt: skip
        if "memory" not in given.skip:
            results["memory runs out"] = kept(
                train(unfair, folder / "oom", "training.batch_tokens=65536", "training.epochs=1",
                      before="torch.cuda.set_per_process_memory_fraction(0.08)")
            )  # fmt: skip
    print(json.dumps(results, indent=1))


def kept(found: dict[str, Any]) -> dict[str, Any]:
    """Gives what a results file needs of a training."""
    if "failed" in found:
        return found
    names = ("seconds_total", "seconds_per_epoch", "padding_share", "said")
    test = found["metrics"].get("test", {})
    values = test.get("values", {}) if isinstance(test, dict) else {}
    return {**{name: found.get(name) for name in names}, "test": {k: v for k, v in values.items() if "macro" in k}}


if __name__ == "__main__":
    main()
