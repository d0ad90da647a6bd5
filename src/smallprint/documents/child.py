"""Files that are read in a process of their own: one that hangs, eats memory or dies takes nothing with it.

    python -m smallprint.documents.child NAME LIMITS < FILE

writes a JSON line for each document: {"name", "document"} or {"name", "error": [found, expected, do]}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

from smallprint.core.errors import DocumentError, MissingExtraError, SmallprintError
from smallprint.documents.document import Document, Limits
from smallprint.documents.read import Read, kind_of, read_archive, read_document, unreadable


def read_apart(content: bytes, name: str, limits: Limits) -> Iterator[Read]:
    """Gives the documents of a file that a process of its own has read.

    Raises:
        DocumentError: It was too slow, took too much memory, or died; or the file as a whole cannot be read.
        MissingExtraError: Its reader is not installed.
    """
    # -P: what lies in the current folder, beside the documents maybe, is not imported
    command = [sys.executable, "-P", "-m", "smallprint.documents.child", name, json.dumps(asdict(limits))]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=limits.seconds, check=False)
    except subprocess.TimeoutExpired as ended:
        yield from _told(ended.stdout or b"")
        raise DocumentError(
            f"{name} took more than {limits.seconds:,.0f} s to read.",
            "a document of usual size",
            "Split it, or save it anew.",
        ) from None
    yield from _told(done.stdout)
    if done.returncode:
        memory = b"MemoryError" in done.stderr or done.returncode in (-9, 137)
        why = f"took more than {limits.memory_mb:,} MB of memory" if memory else "made its reader end"
        raise DocumentError(f"{name} {why}.", "a whole document of usual size", "Split it, or save it anew.")


def _told(written: bytes) -> Iterator[Read]:
    """Gives what a process has written, as far as its lines are whole: the last may have been cut."""
    for line in written[: written.rfind(b"\n") + 1].splitlines():
        if not (line.startswith(b"{") and line.endswith(b"}")):
            continue
        entry = json.loads(line)
        if "document" in entry:
            yield entry["name"], Document.from_dict(entry["document"])
        elif entry["kind"] == "missing":
            raise MissingExtraError(*entry["error"])
        else:
            yield entry["name"], DocumentError(*entry["error"])


def main(arguments: list[str]) -> None:
    """Reads one file from standard input and writes what it holds as JSON lines."""
    name, limits = arguments[0], Limits(**json.loads(arguments[1]))
    _limit(limits)
    content = sys.stdin.buffer.read()
    try:
        if kind_of(content, name) == "zip":
            for inner, read in read_archive(content, name, limits):
                _write(inner, read)
        else:
            _write(name, read_document(content, name, limits))
    except SmallprintError as error:
        _write(name, error)
    except MemoryError:
        print("MemoryError", file=sys.stderr)
        os._exit(1)
    except Exception as error:  # whatever a damaged file makes a reader raise
        _write(name, unreadable(name, error))


def _write(name: str, read: Document | SmallprintError) -> None:
    if isinstance(read, Document):
        entry: dict[str, object] = {"name": name, "document": read.to_dict()}
    else:
        kind = "missing" if isinstance(read, MissingExtraError) else "document"
        entry = {"name": name, "kind": kind, "error": [read.found, read.expected, read.do]}
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; time is limited from outside
        return
    wanted = (
        (resource.RLIMIT_AS, limits.memory_mb * 1_000_000),
        (resource.RLIMIT_CPU, int(limits.seconds) + 1),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, most in wanted:
        allowed = resource.getrlimit(kind)[1]
        if allowed != resource.RLIM_INFINITY:
            most = min(most, allowed)  # what is stricter already cannot be raised
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):
            if sys.platform != "darwin":  # macOS refuses a limit of memory
                raise


if __name__ == "__main__":
    main(sys.argv[1:])

__all__ = ["read_apart"]
