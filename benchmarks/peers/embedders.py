"""SetFit and sentence-transformers on exclusive labels, told again and again how far they are. In: texts and ids. Out: accuracy over time.

Both train the encoder by contrast (SetFit: pairs, Tunstall et al. 2022; sentence-transformers: all triplets of a batch) and put
scikit-learn's logistic regression on its vectors. To have an accuracy at a point in time is to fit that head then: its seconds
count for the point, and neither they nor those of scoring count for the training that goes on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tell = Callable[[float, float], None]
Ids = NDArray[np.int64]


class Clock:
    """Seconds of training, and what a head on the encoder reaches at them.

    Args:
        train: Texts and ids to learn from.
        scored: Texts and ids that accuracy is measured on.
        limit: Seconds of training at most.
        tell: Takes seconds and accuracy.
    """

    def __init__(
        self, train: tuple[Sequence[str], Ids], scored: tuple[Sequence[str], Ids], limit: float, tell: Tell
    ) -> None:
        self.train, self.scored, self.limit, self.tell = train, scored, limit, tell
        self.spent, self.since, self.marked = 0.0, time.perf_counter(), 0.0

    @property
    def now(self) -> float:
        return self.spent + time.perf_counter() - self.since

    def mark(self, encoder: Any) -> None:
        """Fits a head on the encoder as it is, tells what it reaches, and lets the clock go on from where it was."""
        from sklearn.linear_model import LogisticRegression

        self.spent = self.marked = self.now
        start = time.perf_counter()
        head = LogisticRegression(max_iter=1000).fit(encoder.encode(list(self.train[0])), self.train[1])
        told = self.spent + time.perf_counter() - start
        self.tell(told, float((head.predict(encoder.encode(list(self.scored[0]))) == self.scored[1]).mean()))
        encoder.train()
        self.since = time.perf_counter()

    def callback(self, encoder: Any, every: float) -> Any:
        """Gives what makes a trainer tell every so many seconds, and stop at the limit."""
        from transformers import TrainerCallback

        clock = self

        class Marks(TrainerCallback):  # type: ignore[misc]
            def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
                if clock.now - clock.marked >= every:
                    clock.mark(encoder)
                if clock.now >= clock.limit:
                    control.should_training_stop = True

        return Marks()


def train_setfit(
    place: str, train: tuple[Sequence[str], Ids], scored: tuple[Sequence[str], Ids], limit: float, seed: int, tell: Tell
) -> None:
    """SetFit with its defaults, and as many pairs an example as the paper has (20), or as the limit leaves time for."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    model = SetFitModel.from_pretrained(place)
    clock = Clock(train, scored, limit, tell)
    arguments = TrainingArguments(
        num_iterations=20, num_epochs=1, seed=seed, report_to="none", show_progress_bar=False, save_strategy="no"
    )
    table = Dataset.from_dict({"text": list(train[0]), "label": train[1].tolist()})
    trainer = Trainer(model=model, args=arguments, train_dataset=table)
    trainer.add_callback(clock.callback(model.model_body, limit / 8))
    with tempfile.TemporaryDirectory() as folder:
        arguments.output_dir = folder
        trainer.train()
    clock.mark(model.model_body)


def train_sentence_transformer(
    place: str, train: tuple[Sequence[str], Ids], scored: tuple[Sequence[str], Ids], limit: float, seed: int, tell: Tell
) -> None:
    """A head on the encoder as it comes; then the encoder trained by triplets within batches that hold several of each label."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
        losses,
    )

    encoder = SentenceTransformer(place, device="cpu")
    clock = Clock(train, scored, limit, tell)
    clock.mark(encoder)
    table = Dataset.from_dict({"sentence": list(train[0]), "label": train[1].tolist()})
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=8,
            per_device_train_batch_size=64,
            batch_sampler="group_by_label",
            warmup_steps=0.1,  # a share of all steps
            seed=seed,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        SentenceTransformerTrainer(
            model=encoder,
            args=arguments,
            train_dataset=table,
            loss=losses.BatchAllTripletLoss(encoder),
            callbacks=[clock.callback(encoder, limit / 8)],
        ).train()
    clock.mark(encoder)


PEERS = {"SetFit": train_setfit, "sentence-transformers": train_sentence_transformer}

__all__ = ["PEERS", "Clock", "train_sentence_transformer", "train_setfit"]
