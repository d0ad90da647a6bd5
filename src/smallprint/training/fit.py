"""Fitting: a classifier, two splits and settings in; the best weights inside the classifier and a `FitResult` out.

It sees train and validation and is never given the test split.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as L
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.files import write_json
from smallprint.core.progress import Say, say_nothing
from smallprint.core.results import FitResult
from smallprint.modeling.attention import use_training_attention
from smallprint.modeling.backbone import kind_of, use_attention
from smallprint.modeling.classifier import TextClassifier
from smallprint.modeling.dropout import use_byte_dropout
from smallprint.modeling.losses import Loss
from smallprint.training import processes
from smallprint.training.callbacks import BEST, LAST, Checkpoints, EarlyStop, Progress, peak_memory_mb
from smallprint.training.checkpoint_io import SafetensorsIO
from smallprint.training.clock import FitClock
from smallprint.training.datamodule import TextDataModule
from smallprint.training.module import ClassifierModule, never_a_number
from smallprint.training.smaller import OutOfMemoryError, with_smaller_batches

FP32_ALONE = {"deberta"}  # kinds whose code fills masks with fp32's lowest number, whatever it multiplies in
FINISHED = "done.json"  # stands in a folder of checkpoints once its training is at its end


def fit_classifier(
    classifier: TextClassifier,
    data: TextDataModule,
    loss: Loss,
    task: str,
    config: Config,
    folder: Path,
    *,
    callbacks: list[L.Callback] | None = None,
    say: Say = say_nothing,
) -> FitResult:
    """Fits the classifier, in place, and leaves it with the best epoch's weights, in evaluation mode, adapters merged unless
    the settings keep them apart.

    Where `folder` holds a resumable checkpoint the training goes on from there, and ends with the same bits.

    Args:
        classifier: As `build_classifier` gives it.
        data: Train and validation batches.
        loss: `loss(logits, targets) -> scalar`.
        task: binary, multiclass or multilabel.
        config: Settings.
        folder: Of the checkpoints.
        callbacks: More of Lightning's.
        say: Takes lines for a person.

    Raises:
        TrainingError: A checkpoint is damaged, or the loss is no longer a number.
        SmallprintError: The disk is full.
        KeyboardInterrupt: Ctrl-C was pressed; the checkpoints are whole.
    """
    processes.join()
    last = folder / LAST

    def fit(data: TextDataModule, accumulate: int) -> FitResult:
        return _fit_once(classifier, data, loss, task, config, accumulate, folder, callbacks or [], say)

    return with_smaller_batches(fit, classifier, data, config.training.accumulate, folder, (last.name, BEST), say)


def _fit_once(
    classifier: TextClassifier,
    data: TextDataModule,
    loss: Loss,
    task: str,
    config: Config,
    accumulate: int,
    folder: Path,
    callbacks: list[L.Callback],
    say: Say,
) -> FitResult:
    settings = config.training
    classifier.train()  # a pretrained backbone comes in evaluation mode, and Lightning leaves modes as they are
    on_processor = not torch.cuda.is_available()
    if on_processor:
        use_training_attention(classifier.backbone)
        use_byte_dropout(classifier)
    data.train_sampler.accumulate = accumulate
    steps = settings.epochs * -(-data.batches_per_epoch // accumulate)
    module = ClassifierModule(classifier, loss, task, settings, steps, config.model.adapter)
    checkpoints, progress = Checkpoints(folder, settings.checkpoint_minutes), Progress(say, settings.epochs)
    early_stop = EarlyStop(settings.patience)
    last = folder / LAST
    with _quiet_lightning():
        clock = FitClock()
        trainer = build_trainer(
            config, [early_stop, progress, *callbacks, checkpoints], classifier.backbone, accumulate, clock
        )
        with _clear_errors(last), _clear_stops():
            trainer.fit(module, datamodule=data, ckpt_path=str(last) if last.exists() else None)
    if not module.history or checkpoints.best_epoch < 0:
        raise never_a_number()
    state = SafetensorsIO().load_checkpoint(folder / BEST)["state_dict"]
    module.check_fits(state, folder / BEST)
    module.load_state_dict(state, strict=False)
    classifier.finish(config.model.lora.merge)
    if on_processor:
        use_attention(classifier.backbone, "sdpa")
    classifier.eval()
    if processes.is_first():
        write_json(folder / FINISHED, {"best_epoch": checkpoints.best_epoch})
    epochs = progress.seconds_per_epoch
    return FitResult(
        history=module.history,
        best_epoch=checkpoints.best_epoch,
        steps=trainer.global_step,
        stopped_early=len(module.history) < settings.epochs,
        timing={
            "seconds_per_epoch": round(sum(epochs) / len(epochs), 3) if epochs else 0.0,
            "padding_share": round(data.padding_share(), 5),
            "peak_memory_mb": peak_memory_mb(),
        },
        parts=clock.seconds(),
    )


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch."""
    with _quiet_lightning():
        L.seed_everything(seed, verbose=False)


def build_trainer(
    config: Config,
    callbacks: list[L.Callback],
    backbone: Any = None,
    accumulate: int | None = None,
    clock: FitClock | None = None,
) -> L.Trainer:
    """Gives Lightning's trainer for these settings: deterministic, silent but for `callbacks`, checkpoints without pickle.

    Raises:
        ConfigError: The settings want more processes than there are, or what no processor can.
    """
    settings, world = config.training, processes.world_size()
    check_processes(config, world)
    switches: Any = torch.utils.deterministic
    switches.fill_uninitialized_memory = False  # a cost at every allocation, for bugs we test for
    return L.Trainer(
        accelerator="auto",
        devices=max(1, world // settings.num_nodes),
        num_nodes=settings.num_nodes,
        strategy=_strategy(settings.strategy) if world > 1 else "auto",
        accumulate_grad_batches=accumulate or settings.accumulate,
        max_epochs=settings.epochs,
        precision="bf16-mixed" if choose_precision(settings.precision, backbone) == "bf16" else "32-true",
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        plugins=[SafetensorsIO()],
        profiler=clock,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic="warn",
    )


def check_processes(config: Config, world: int) -> None:
    """Compares what the settings want with the processes that there are.

    Raises:
        ConfigError: They want more, or a strategy that needs GPUs.
    """
    settings = config.training
    wanted = (settings.devices if isinstance(settings.devices, int) else 1) * settings.num_nodes
    if wanted > 1 and world != wanted:
        raise ConfigError(
            f"The settings want {wanted} processes ({settings.devices} devices on {settings.num_nodes} machines), and there "
            f"{'is one' if world == 1 else f'are {world}'}.",
            "as many as training.devices times training.num_nodes",
            "On one machine `smallprint train --devices N` starts them; on several, and from Python, torchrun or SLURM do.",
        )
    if settings.strategy == "fsdp" and not torch.cuda.is_available():
        raise ConfigError(
            "training.strategy=fsdp needs GPUs, and this machine has none.",
            "ddp on processors",
            "Set it to ddp or auto.",
        )


def _strategy(name: str) -> Any:
    from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy

    if name == "fsdp":
        return FSDPStrategy(timeout=processes.PATIENCE, state_dict_type="full")
    return DDPStrategy(timeout=processes.PATIENCE)


def choose_precision(wanted: str, backbone: Any = None) -> str:
    """Gives 'fp32' or 'bf16'; 'auto' takes bf16 where the hardware multiplies it faster and the backbone can.

    Raises:
        ConfigError: bf16 is wanted of a backbone that cannot.
    """
    kind = kind_of(backbone)
    if kind in FP32_ALONE and wanted != "fp32":
        if wanted == "bf16":
            raise ConfigError(
                f"training.precision=bf16 cannot go with a backbone of kind '{kind}': its attention overflows in bf16.",
                "auto or fp32",
                "Leave training.precision out.",
            )
        return "fp32"
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    cpu: Any = torch.cpu
    fast = (
        getattr(cpu, "_is_amx_tile_supported", lambda: False)()
        or getattr(cpu, "_is_avx512_bf16_supported", lambda: False)()
    )
    return "bf16" if fast else "fp32"


@contextmanager
def _clear_errors(last: Path) -> Iterator[None]:
    """Turns what a user can mend into a message."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if "parameter group" in str(error):  # the optimizer's words where its groups are others
            raise TrainingError(
                f"The checkpoint {last} does not fit these settings.",
                "a checkpoint of this run, with unchanged settings",
                "Resume with the settings that the run began with, or train anew.",
            ) from None
        if "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower():
            raise OutOfMemoryError from None
        if processes.lost(error):
            raise TrainingError(
                f"Another of the {processes.world_size()} processes has ended, and this one cannot go on alone.",
                "all of them to work until the end",
                "See what it said. Then go on by --resume.",
            ) from None
        raise


@contextmanager
def _clear_stops() -> Iterator[None]:
    """Lets Ctrl-C reach the caller: Lightning answers it with `sys.exit(1)`, and ends on SIGTERM as if all were well."""
    try:
        yield
    except SIGTERMException:
        raise SystemExit(128 + signal.SIGTERM) from None
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


class _quiet_lightning:  # noqa: N801 - used as a context manager
    """Silences Lightning's tips and warnings that a user of smallprint can do nothing about."""

    def __enter__(self) -> None:
        self._loggers = [logging.getLogger(n) for n in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch")]
        self._levels = [logger.level for logger in self._loggers]
        for logger in self._loggers:
            logger.setLevel(logging.ERROR)
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *error: object) -> None:
        self._warnings.__exit__(None, None, None)
        for logger, level in zip(self._loggers, self._levels, strict=True):
            logger.setLevel(level)
