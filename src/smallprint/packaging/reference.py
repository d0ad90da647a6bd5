"""What a bundle keeps of its validation texts, so that new ones can be compared with them. In: texts and scores. Out: numbers, a file.

Validation is drawn like what the model learned from, and the model did not learn from it: scores of training texts are too sure. The file
holds no text and no name; see `data/sketch.py` for what its numbers tell.

    reference.safetensors   scores float16 [n, n_outputs], lengths float32 [n], words int8 [n, 128], rarity float32 [n],
                            groups int32 [n] (where there are documents); of training's words usual uint32 [n_words] (hashes),
                            bits float32 [n_words], other float32 [1]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import BundleError
from smallprint.data.sketch import PLACES, TextNumbers, WordBits, count_words, number_texts
from smallprint.evaluation.intervals import number_units
from smallprint.packaging.manifest import AGAIN, unreadable

REFERENCE = "reference.safetensors"
VERSION = "1"
MOST = 4_000  # rows: more would say little more
SEED = 7


@dataclass(frozen=True)
class Reference:
    """Texts that new ones are compared with, as numbers.

    Attributes:
        scores: The model's, of texts that it did not learn from, float16 `[n, n_outputs]`; calibrated where the model is.
        numbers: Of the texts.
        groups: Number of each text's document, int32 `[n]`; None where they are not known.
        usual: How rare words were in training; None where that is not known.
    """

    scores: NDArray[np.float16]
    numbers: TextNumbers
    groups: NDArray[np.int32] | None
    usual: WordBits | None

    def __len__(self) -> int:
        return len(self.scores)


def build_reference(
    texts: Sequence[str], scores: NDArray[Any], groups: Sequence[str | None], learned: Sequence[str] | WordBits | None
) -> Reference:
    """Gives the numbers of texts that a model did not learn from; of more than `MOST` a random choice.

    Args:
        texts: The texts.
        scores: `[n, n_outputs]`.
        groups: Document of each, or None.
        learned: Texts that the model did learn from: how rare their words are is kept; or that itself, where it was counted before; None
            where they are not at hand.
    """
    rows = list(range(len(texts)))
    if len(rows) > MOST:
        rows = sorted(np.random.default_rng(SEED).choice(len(rows), MOST, replace=False).tolist())
    usual = learned if learned is None or isinstance(learned, WordBits) else count_words(learned)
    numbers = number_texts([texts[i] for i in rows], usual)
    chosen = [groups[i] for i in rows]
    units: NDArray[np.int32] | None = None
    if any(group is not None for group in chosen):
        units = number_units(chosen)[0].astype(np.int32)
    return Reference(np.asarray(scores, dtype=np.float16)[rows], numbers, units, usual)


def save_reference(folder: Path, reference: Reference) -> None:
    """Writes the reference into a bundle's folder."""
    from safetensors.numpy import save

    numbers = reference.numbers
    arrays = {"scores": reference.scores, "lengths": numbers.lengths, "words": numbers.words}
    more: dict[str, NDArray[Any] | None] = {"rarity": numbers.rarity, "groups": reference.groups}
    if reference.usual is not None:
        usual = reference.usual
        more |= {"usual": usual.words, "bits": usual.bits, "other": np.array([usual.other], dtype=np.float32)}
    arrays |= {name: array for name, array in more.items() if array is not None}
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"version": VERSION})
    (folder / REFERENCE).write_bytes(content)


def load_reference(folder: Path, n_outputs: int) -> Reference | None:
    """Gives the reference in a bundle's folder, None where it has none; hashes are `load_bundle`'s matter.

    Args:
        folder: Of the bundle.
        n_outputs: Of the model.

    Raises:
        BundleError: It cannot be read, is of a newer version, or does not fit the model.
    """
    path = folder / REFERENCE
    if not path.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            version = (file.metadata() or {}).get("version")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise unreadable(path, f"{type(error).__name__}.") from None
    if version != VERSION:
        raise BundleError(
            f"{path} is of version {version}.", f"version {VERSION}", "Update smallprint, or give --reference DATA."
        )
    n = len(arrays.get("scores", ()))
    shapes = {"scores": (n, n_outputs), "lengths": (n,), "words": (n, PLACES)}
    shapes |= {name: (n,) for name in ("rarity", "groups") if name in arrays}
    if "rarity" in arrays:
        shapes |= {"other": (1,), "bits": arrays["usual"].shape if "usual" in arrays else (-1,)}
    if not n or any(name not in arrays or arrays[name].shape != shape for name, shape in shapes.items()):
        raise BundleError(f"{path} does not fit the model of {n_outputs} outputs.", "what training wrote", AGAIN)
    numbers = TextNumbers(arrays["lengths"], arrays["words"], arrays.get("rarity"))
    usual = WordBits(arrays["usual"], arrays["bits"], float(arrays["other"][0])) if "rarity" in arrays else None
    return Reference(arrays["scores"], numbers, arrays.get("groups"), usual)


__all__ = ["REFERENCE", "Reference", "build_reference", "load_reference", "save_reference"]
