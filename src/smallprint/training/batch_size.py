"""How many tokens a batch has on a GPU where the settings leave it open. In: memory, the model's size, the data's. Out: a power of two.

A processor multiplies 1,024 tokens at once as fast for each as more, and small steps learn more from few examples; a GPU waits for
such a step to begin. There a batch is as large as memory holds and as leaves an epoch its steps. The choice stays with the run's
checkpoints: a resumed training has the same batches on another GPU too.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from smallprint.core.config import USUAL_TOKENS as USUAL
from smallprint.core.config import Config
from smallprint.core.files import write_json
from smallprint.core.progress import Say
from smallprint.modeling.backbone import width_of
from smallprint.modeling.classifier import TextClassifier
from smallprint.training import processes
from smallprint.training.datamodule import TextDataModule
from smallprint.training.optimizer import default_learning_rate

FEWEST, MOST = 64, 65_536  # tokens
LEAST_STEPS = 50  # of an epoch: fewer, and a training of a few epochs has too few to learn by
SHARE = 0.8  # of free memory
OVERHEAD = 1_000_000_000  # bytes of kernels and their scratch space
WEIGHT_BYTES, TRAINED_BYTES = 6, 20  # fp32 and its bf16 copy; gradient, Adam's two moments, the average and its place
TOKEN_BYTES = 80  # a layer, and unit of width: BERT-base with 16,384 tokens a batch takes some 12 GB
CHOICE = "batch_tokens.json"


@dataclass(frozen=True)
class Size:
    """What decides how much memory a training takes.

    Attributes:
        parameters: All of them.
        trained: Those that take a gradient.
        layers: Layers whose results are kept for the backward pass.
        width: Of the token vectors.
        recomputed: Layers are computed again in the backward pass.
    """

    parameters: int
    trained: int
    layers: int
    width: int
    recomputed: bool = False


def choose_batch_tokens(free_bytes: float, size: Size, epoch_tokens: int, n_processes: int = 1) -> int:
    """Gives a power of two of tokens: as many as fit, as long as an epoch keeps 50 steps, and a processor's number at least if it fits.

    Args:
        free_bytes: Of the GPU, before the model is on it.
        size: Of the model.
        epoch_tokens: Of all training texts.
        n_processes: That share a step.

    >>> choose_batch_tokens(80e9, Size(22_700_000, 22_700_000, 6, 384), 10_000_000)
    65536
    >>> choose_batch_tokens(80e9, Size(22_700_000, 22_700_000, 6, 384), 208_646)
    4096
    """
    fixed = WEIGHT_BYTES * size.parameters + TRAINED_BYTES * size.trained + OVERHEAD
    # recomputed layers keep what went into each, fp32, and the one that is computed again
    per_width = TOKEN_BYTES * size.layers if not size.recomputed else 4 * size.layers + TOKEN_BYTES
    fits = (SHARE * free_bytes - fixed) / (per_width * size.width)
    leaves_steps = max(USUAL, epoch_tokens / LEAST_STEPS / n_processes)
    return min(MOST, max(FEWEST, _power_below(min(fits, leaves_steps))))


def fit_batches(
    config: Config,
    data: TextDataModule,
    classifier: TextClassifier,
    task: str,
    folder: Path,
    free_bytes: float,
    say: Say,
) -> tuple[Config, TextDataModule]:
    """Gives settings and data with batches that suit the GPU, and says what was chosen.

    The learning rate, where the settings name none, grows with the square root of the batch, as Adam's noise wants it (Malladi et
    al. 2022); the head's stays. Where less than a processor's batch fits, a step has as many batches as make one.

    Args:
        config: Its `training.batch_tokens` is 'auto'.
        data: In batches of a processor's size.
        classifier: Not on the GPU yet.
        task: binary, multiclass or multilabel.
        folder: Of the checkpoints; holds the choice.
        free_bytes: Of the GPU.
        say: Takes lines for a person.
    """
    backbone, settings = classifier.backbone, config.training
    weights = list(classifier.parameters())
    layers = int(getattr(getattr(backbone, "config", None), "num_hidden_layers", 12))
    if config.model.train_layers is not None:
        layers = min(layers, config.model.train_layers)
    size = Size(
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        layers,
        width_of(backbone),
        settings.gradient_checkpointing,
    )
    place, world = folder / CHOICE, processes.world_size()
    if processes.is_first() and not place.exists():
        chosen = choose_batch_tokens(free_bytes, size, int(data.train_set.lengths.sum()), world)
        write_json(place, {"batch_tokens": chosen})
    processes.wait()
    tokens = int(json.loads(place.read_text(encoding="utf-8"))["batch_tokens"])
    times = tokens / USUAL
    if config.model.adapter == "frozen":  # its head learns from vectors, in batches of examples
        return config, data.resized(tokens, data.batch_size)
    more: dict[str, object] = {}
    if times < 1:
        more["accumulate"] = settings.accumulate * (USUAL // tokens)
    elif settings.learning_rate is None:
        more["learning_rate"] = default_learning_rate(backbone, config.model.adapter, task) * math.sqrt(times)
    examples = max(1, round(data.batch_size * times))
    told = f", learning rate {more['learning_rate']:.2g}" if "learning_rate" in more else ""
    told += f", {more['accumulate']} batches a step" if "accumulate" in more else ""
    say(f"Batches of {tokens:,} tokens and at most {examples:,} examples, for {free_bytes / 1e9:.0f} GB of GPU{told}.")
    changed = config.model_copy(update={"training": settings.model_copy(update=more)})
    return changed, data.resized(tokens, examples)


def free_gpu_bytes() -> float | None:
    """Gives the free memory of this process's GPU; None where there is none."""
    return float(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None


def _power_below(value: float) -> int:
    return 1 << max(0, int(math.log2(max(1.0, value))))


__all__ = ["Size", "choose_batch_tokens", "fit_batches", "free_gpu_bytes"]
