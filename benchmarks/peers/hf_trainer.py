"""Hugging Face's Trainer as many scripts use it. In: texts and targets. Out: seconds of each epoch, and logits.

Two recipes: 'common' pads every text to 128 tokens and multiplies in fp32; 'best' pads to the longest of a batch, groups by
length, and multiplies in bf16 where that is wanted. Both have batches of 32; the rest is what Trainer does when nobody says
otherwise: AdamW, a rate that falls to 0 from 5e-5 (another can be named).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

RECIPES = ("common", "best")
BATCH_SIZE, RATE, PADDED, LONGEST = 32, 5e-5, 128, 256


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Attributes:
        epoch_s: Seconds of each epoch.
        logits: Of the texts that were to be scored, fp32 `[n, n_labels]`; after each epoch, where `each_epoch` was called.
    """

    epoch_s: list[float]
    logits: NDArray[np.float32]


def train_trainer(
    recipe: str,
    place: str,
    texts: Sequence[str],
    targets: NDArray[Any],
    scored: Sequence[str],
    *,
    epochs: int,
    seed: int = 42,
    rate: float = RATE,
    bf16: bool = False,
    each_epoch: Callable[[int, float, NDArray[np.float32]], bool] | None = None,
) -> Trained:
    """Trains the encoder at `place` with a new head.

    Args:
        recipe: 'common' or 'best'.
        place: Folder or name of the encoder.
        texts: To learn from.
        targets: 0/1 `[n, n_labels]`, or ids `[n]` of exclusive labels.
        scored: Texts to score; no time is counted for it.
        epochs: How many.
        seed: Of head, dropout and order.
        rate: Peak learning rate.
        bf16: Autocast, for 'best'.
        each_epoch: Takes the epoch, the seconds of training so far and logits of `scored` after it; gives whether to go on.
    """
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    common, several = recipe == "common", targets.ndim > 1
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(place)
    model = AutoModelForSequenceClassification.from_pretrained(
        place,
        num_labels=targets.shape[1] if several else int(targets.max()) + 1,
        problem_type="multi_label_classification" if several else "single_label_classification",
    )

    def rows() -> list[dict[str, Any]]:
        encoded = tokenizer(
            list(texts),
            truncation=True,
            max_length=PADDED if common else LONGEST,
            padding="max_length" if common else False,
        )
        labels = targets.astype(np.float32) if several else targets.tolist()
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": label}
            for ids, mask, label in zip(encoded["input_ids"], encoded["attention_mask"], labels, strict=True)
        ]

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            _wait()
            self.start = time.perf_counter()

        def on_epoch_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            _wait()
            times.append(time.perf_counter() - self.start)
            if each_epoch is not None:
                control.should_training_stop = not each_epoch(len(times), sum(times), logits_of())

    def logits_of() -> NDArray[np.float32]:
        """Not by `Trainer.predict`: grouped by length, it gives the rows in another order."""
        model.eval()
        parts = [np.zeros((0, model.config.num_labels), dtype=np.float32)]
        for start in range(0, len(scored), 64):
            asked = tokenizer(
                list(scored[start : start + 64]), truncation=True, max_length=LONGEST, padding=True, return_tensors="pt"
            )
            with torch.no_grad():
                parts.append(model(**asked.to(model.device)).logits.float().cpu().numpy())
        model.train()
        return np.concatenate(parts)

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH_SIZE,
            learning_rate=rate,
            seed=seed,
            bf16=bf16 and not common,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="random" if common else "group_by_length",
        )
        learned: Any = rows()
        made = Trainer(
            model=model,
            args=arguments,
            train_dataset=learned,
            data_collator=None if common else DataCollatorWithPadding(tokenizer),
            callbacks=[Clock()],
        )
        made.train()
        return Trained(times, logits_of())


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


__all__ = ["RATE", "RECIPES", "Trained", "train_trainer"]
