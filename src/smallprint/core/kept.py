"""Arrays that are kept on disk for the next time. In: a key and arrays. Out: the same arrays, or None where they are not there.

They lie in ~/.cache/smallprint (XDG_CACHE_HOME, or the folder that SMALLPRINT_CACHE names), a safetensors file a key, which nobody else may
read. What is damaged counts as not there. Nothing here fails a training: where the disk is full, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from smallprint.core.errors import SmallprintError
from smallprint.core.files import atomic_path
from smallprint.core.results import Array

MB = 1_000_000
STALE_SECONDS = 86_400  # older files without their final name are a killed process's


def cache_root() -> Path:
    """Gives the folder of all that can be had again."""
    if own := os.environ.get("SMALLPRINT_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smallprint"


class Kept:
    """Arrays by key, in files of at most so many megabytes together: those that were not used for longest go first.

    Args:
        most_mb: 0 keeps nothing and reads nothing.
        folder: Where; `kept` in the cache's folder when left out. A user without a home has none, and nothing is kept.
    """

    def __init__(self, most_mb: float, folder: Path | None = None) -> None:
        if folder is None:
            try:
                folder = cache_root() / "kept"
            except RuntimeError:
                most_mb, folder = 0, Path()
        self.most_bytes, self.folder = most_mb * MB, folder

    def read(self, key: str) -> dict[str, Array] | None:
        """Gives the arrays of a key; None where there are none, or not as they were written."""
        found = self._load(key)
        if found is None or found[1] != _digest(found[0]):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._path(key))
        return found[0]

    def read_one(self, key: str, name: str) -> Array | None:
        """Gives one array of a key, unchecked, without reading the others."""
        found = self._load(key, name)
        return None if found is None else found[0][name]

    def keys(self, prefix: str) -> list[str]:
        """Gives the keys that begin so, the newest first."""
        return [path.stem for _, _, path in reversed(self._files()) if path.stem.startswith(prefix)]

    def write(self, key: str, arrays: Mapping[str, Array]) -> None:
        """Keeps arrays, in the place of what the key had; what would not fit alone is not kept."""
        if sum(value.nbytes for value in arrays.values()) > self.most_bytes:
            return
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        whole = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
        with contextlib.suppress(OSError, SmallprintError, SafetensorError):  # the last: a full disk, in its words
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)  # what is kept of a text tells the text
            with atomic_path(self._path(key)) as temporary:
                save_file(whole, temporary, metadata={"digest": _digest(whole)})
            self._evict()

    def _load(self, key: str, name: str | None = None) -> tuple[dict[str, Array], str | None] | None:
        """Gives all arrays of a key, or one, and the digest that was written with them."""
        if not self.most_bytes:
            return None
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self._path(key), framework="numpy") as file:
                names = list(file.keys()) if name is None else [name]
                return {one: np.array(file.get_tensor(one)) for one in names}, (file.metadata() or {}).get("digest")
        except (OSError, SafetensorError, ValueError, KeyError):
            return None

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.safetensors"

    def _files(self) -> list[tuple[float, int, Path]]:
        """Gives time of last use, size and path of each file, oldest first; another process may remove them meanwhile."""
        found = []
        with contextlib.suppress(OSError):  # a folder that may not be looked into
            for path in self.folder.glob("*.safetensors") if self.most_bytes else ():
                with contextlib.suppress(OSError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return sorted(found)

    def _evict(self) -> None:
        files = self._files()
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self.most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
        for path in self.folder.glob(".*"):  # of ours and of safetensors', which writes beside them first
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


def digest_of(*parts: bytes | str) -> str:
    """Gives a key for parts of any length: the same for the same parts alone."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()[:40]


def _digest(arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {value.dtype} {value.shape} ".encode())
        digest.update(value.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


__all__ = ["Kept", "cache_root", "digest_of"]
