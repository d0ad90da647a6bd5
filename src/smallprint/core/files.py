"""Writing files whole or not at all. In: a path and content. Out: the finished file, or none and a clear error."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smallprint.core.errors import ConfigError, SmallprintError


@contextmanager
def pipe_errors() -> Iterator[None]:
    """Has a pipe whose reader has gone be a BrokenPipeError on Windows too, which calls it an invalid argument.

    Only around what is written to standard output: elsewhere an invalid argument is something else.
    """
    try:
        yield
    except OSError as error:
        if os.name == "nt" and error.errno == errno.EINVAL:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
        raise


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """Turns a full, read-only or forbidden disk, or a place where no file can be, into a message that names `path`.

    Raises:
        ConfigError: A folder is there, a file is among its folders, or its name is too long.
        SmallprintError: The system refused to write.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
            raise ConfigError(
                f"{path} could not be written: {os.strerror(error.errno)}.",
                "a path where nothing else stands in the way",
                "Choose another place. Nothing half-written was left.",
            ) from None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG):
            raise
        do = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "Check the permissions"
        raise SmallprintError(
            f"{path} could not be written: {os.strerror(error.errno)}.",
            "a folder with room that may be written",
            f"{do}, or choose another place. Nothing half-written was left; a run goes on with --resume.",
        ) from None


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; it takes the name `path` when the block ends well, and goes away when not.

    Raises:
        SmallprintError: The disk is full or may not be written.
    """
    path = Path(path)
    with disk_errors(path):
        if path.is_symlink():  # what it leads to is written, and the link stays
            path = path.resolve()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("r+b") as written:  # Windows flushes only what may be written
                os.fsync(written.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Gives a temporary folder beside `path`; it replaces `path` when the block ends well, and goes away when not.

    Raises:
        SmallprintError: The disk is full or may not be written.
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        old = temporary.with_suffix(".old")
        try:
            yield temporary
            temporary.chmod(0o777 & ~_umask())
            if path.exists():
                path.replace(old)
            temporary.replace(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            if old.exists() and not path.exists():
                old.replace(path)
            shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str) -> Path:
    """Writes `text` as UTF-8, whole or not at all, and gives the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")  # the same bytes on every system: hashes are taken
    return Path(path)


def check_new(folder: str | Path) -> Path:
    """Gives the folder's path.

    Raises:
        ConfigError: It is there already.
    """
    place = Path(folder).expanduser()
    if place.exists():
        raise ConfigError(f"{place} is there already.", "a new folder", "Name another, or remove it.")
    return place


def check_output(
    output: str | Path | None,
    inputs: Iterable[str | Path] = (),
    do: str = "Name another with -o.",
    *,
    folder: bool = False,
) -> None:
    """Refuses, before the work is done, an output that could not be written or would take the place of an input.

    Args:
        output: A file that may be there; None or '-' is standard output.
        inputs: What is read; '-' is standard input.
        do: What to do about it.
        folder: The output is a folder.

    Raises:
        ConfigError: `output` is one of `inputs`, by whatever path or link, or something else stands in its way.
        SmallprintError: The system does not let it be looked at.
    """
    if output is None or str(output) == "-":
        return
    place = Path(output)
    try:
        with disk_errors(place):
            if any(parent.is_file() for parent in place.parents):  # Windows says that such a path is not found
                raise OSError(errno.ENOTDIR, "a file among the folders")
            mode = place.stat().st_mode
            if not folder and not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                raise ConfigError(
                    f"{output} is no ordinary file: what stands there would be replaced by one.",
                    "a file, or a place where none is",
                    f"Write to standard output instead ('-') and send that there: > {output}",
                )
            if stat.S_ISDIR(mode) != folder:
                raise OSError(errno.ENOTDIR if folder else errno.EISDIR, "a folder for a file, or a file for a folder")
    except FileNotFoundError:
        return
    for name in inputs:
        if str(name) != "-" and Path(name).exists() and Path(name).samefile(output):
            raise ConfigError(f"{output} is read, and would be written over.", "another file for the output", do)


def write_json(path: str | Path, value: Any) -> Path:
    """Writes `value` as indented JSON with a final newline, whole or not at all, and gives the path."""
    return write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Gives rows, the header first, as CSV; None is an empty field."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def sha256_file(path: str | Path) -> str:
    """Gives the sha256 of a file's bytes in hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def remove_leftovers(folder: str | Path) -> None:
    """Removes what a killed process left half-written in `folder` (names as `atomic_path` and `atomic_folder` make them)."""
    for path in Path(folder).glob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for path in Path(folder).glob(".*.old"):
        original = path.with_name(path.name[1:].rsplit(".", 2)[0])
        if original.exists():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.replace(original)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
