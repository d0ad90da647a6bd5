"""Ways to die amid a training, and what must be the same afterwards."""

import pytorch_lightning as L
import torch

from smallprint.training.callbacks import BEST, LAST
from smallprint.training.checkpoint_io import SafetensorsIO


class KilledError(Exception):
    """Stands for the power going out."""


class Kill(L.Callback):
    """Raises in `hook` at an epoch and, for a batch hook, at a batch from the end or the beginning."""

    def __init__(self, hook, epoch=None, batch=None, error=KilledError):
        def strike(trainer, *arguments):
            at = trainer.num_training_batches + batch if batch is not None and batch < 0 else batch
            if trainer.sanity_checking or epoch not in (None, trainer.current_epoch):
                return
            if at is None or arguments[-1] == at:
                raise error

        setattr(self, hook, strike)


class KillAfter(L.Callback):
    """Dies in the n-th batch of this process, whatever its epoch."""

    def __init__(self, batches):
        self.left = batches

    def on_train_batch_end(self, *_):
        self.left -= 1
        if self.left < 0:
            raise KilledError


def bits(value):
    """Turns a checkpoint into something that == compares bit for bit."""
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    return value


def outcome(folder, result, classifier):
    """Everything that must be the same: results, final weights, and both files but for Lightning's counters."""
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "smallprint", "global_step", "epoch")
    files = {}
    for name in (BEST, LAST):
        held = SafetensorsIO().load_checkpoint(folder / name)
        files[name] = {part: bits(held[part]) for part in parts if part in held}
    seen = (result.history, result.best_epoch, result.steps, result.stopped_early)
    return seen, bits(dict(classifier.state_dict())), files
