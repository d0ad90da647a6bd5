"""API keys: random, shown once, kept as hashes in a file of lines `NAME SHA256`, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from smallprint.core.errors import ConfigError
from smallprint.core.files import write_text

NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
LINE = re.compile(rf"({NAME.pattern}) ([0-9a-f]{{64}})")


def make_key(name: str, file: str | Path) -> str:
    """Gives a new key, and adds its hash to a file that its owner alone may read; a name that stands there gets a new key.

    Raises:
        ConfigError: The name cannot be used, or the file holds something else.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name for a key.", "letters, digits, '_', '.' and '-'", "Choose another.")
    file = Path(file)
    known = read_keys(file) if file.exists() else {}
    key = secrets.token_urlsafe(32)  # 256 random bits: a plain hash of it cannot be guessed
    known[name] = _hash(key)
    write_text(file, "".join(f"{each} {found}\n" for each, found in known.items()))
    os.chmod(file, 0o600)  # noqa: PTH101
    return key


def read_keys(file: str | Path) -> dict[str, str]:
    """Gives hash by name.

    Raises:
        ConfigError: There is no such file, or a line of it is something else.
    """
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except PermissionError:
        raise ConfigError(
            f"{file} may not be read by the user that serves.",
            "a file of keys that this user may read",
            f"Give it away: chmod 644 {file} (it holds hashes of random keys), or chown it to that user.",
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"{file} cannot be read.", "a file of keys", "Make one with `smallprint key NAME --keys FILE`."
        ) from None
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise ConfigError(f"{file}, line {number}, is no key.", "NAME SHA256", "Write it anew: smallprint key.")
        keys[found[1]] = found[2]
    if not keys:
        raise ConfigError(f"{file} holds no key.", "at least one", "Make one with `smallprint key NAME --keys FILE`.")
    return keys


def owner_of(key: str, keys: dict[str, str]) -> str | None:
    """Gives the name that a key belongs to, or None; it takes as long whichever it is."""
    found, owner = _hash(key), None
    for name, known in keys.items():
        if hmac.compare_digest(found, known):
            owner = name
    return owner


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = ["make_key", "owner_of", "read_keys"]
