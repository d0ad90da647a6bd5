"""One of several processes that fit the toy: `python one_of_many.py FOLDER` with RANK, WORLD_SIZE and the rest in the environment.

Writes FOLDER/RANK.json: what this process saw in each epoch, its steps, its curve and a checksum of its final weights. Without
dropout: what two processes do can then be compared with what one does.
"""

import json
import sys
import zlib
from pathlib import Path

import pytorch_lightning as L

from smallprint.modeling.dropout import ByteDropout
from smallprint.training import processes
from smallprint.training.fit import seed_everything

sys.path.insert(0, str(Path(__file__).parent))
import conftest as toy


class Look(L.Callback):
    def __init__(self):
        self.seen, self.average = {}, None

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.setdefault(trainer.current_epoch, []).append(batch["index"].tolist())

    def on_train_end(self, trainer, module):  # the averaged weights are in, in each process
        self.average = zlib.crc32(b"".join(value.detach().numpy().tobytes() for value in module.parameters()))


def main(folder: Path, **training) -> None:
    ByteDropout.forward = lambda self, x: x
    processes.join()
    look = Look()
    seed_everything(1)
    result, _ = toy.fit(folder / "checkpoints", [look], **training)
    seen = {
        "seen": look.seen,
        "steps": result.steps,
        "history": result.history,
        "best_epoch": result.best_epoch,
        "average": look.average,
    }
    (folder / f"{processes.rank()}.json").write_text(json.dumps(seen))
    processes.wait()
    processes.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
