"""What a server may do and what it lets in: one frozen value, told to worker processes by the environment. It holds no secret."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import Any

from smallprint.core.errors import ConfigError

VARIABLE = "SMALLPRINT_SERVE"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServeSettings:
    """Settings of a server. What goes over a limit is refused, never cut.

    Attributes:
        models: Name and folder of each model; the first answers where none is named.
        host: Address that it listens on.
        port: Its port.
        keys: File of hashed API keys; None asks for none.
        insecure: Other machines may come in without a key.
        workers: Processes.
        body_mb: Of a request, in megabytes.
        texts: In a request.
        characters: Of one text.
        document_characters: Of a document's text.
        pages: Of a PDF.
        waiting: Texts that may wait for the model in each worker; more are refused with 503.
        batch: Texts that are scored together.
        scans: Documents that each worker reads at the same time.
        answer_seconds: For an answer, waiting included.
        scan_seconds: For a document.
        body_seconds: For a request to arrive whole.
        rate: Requests a minute of one key, or of one address where there are no keys; each worker allows its share. 0 counts none.
        connections: Open at the same time, in each worker.
        reload_seconds: Between two looks at whether a bundle was replaced; 0 never looks.
        actions: File of rules for what is done with findings; None does nothing.
        outbox: File that remembers what was delivered.
        undelivered: Findings that may wait for delivery; more are refused with 503.
        rules: What stood in the file when the server started: all its processes go by the same.
    """

    models: tuple[tuple[str, str], ...]
    host: str = "127.0.0.1"
    port: int = 8000
    keys: str | None = None
    insecure: bool = False
    workers: int = 1
    body_mb: float = 10.0
    texts: int = 256
    characters: int = 20_000
    document_characters: int = 1_000_000
    pages: int = 500
    waiting: int = 1_024
    batch: int = 32
    scans: int = 2
    answer_seconds: float = 30.0
    scan_seconds: float = 300.0
    body_seconds: float = 10.0
    rate: int = 0
    connections: int = 1_000
    reload_seconds: float = 2.0
    actions: str | None = None
    outbox: str | None = None
    undelivered: int = 10_000
    rules: tuple[dict[str, Any], ...] = ()

    @property
    def body_bytes(self) -> int:
        """Largest request in bytes."""
        return int(self.body_mb * 1e6)

    def check(self) -> None:
        """Refuses what would let strangers in.

        Raises:
            ConfigError: Other machines could come in without a key, a model's name stands twice, or there is an outbox without actions.
        """
        if self.host not in LOOPBACK and self.keys is None and not self.insecure:
            raise ConfigError(
                f"{self.host} can be reached from other machines, and no API key is asked for.",
                "127.0.0.1, or a file of keys",
                "Make a key with `smallprint key NAME --keys FILE` and give --keys FILE; or say --insecure.",
            )
        names = [name for name, _ in self.models]
        if len({*names}) < len(names):
            raise ConfigError("Two models have the same name.", "a name of its own for each", "Give NAME=MODEL.")
        if self.outbox is not None and self.actions is None:
            raise ConfigError("There is an outbox, and nothing goes into it.", "--actions FILE", "Give it too.")

    def to_environment(self) -> None:
        """Tells worker processes of it."""
        os.environ[VARIABLE] = json.dumps(asdict(self))

    @staticmethod
    def from_environment() -> ServeSettings:
        """Gives what `to_environment` told."""
        tree = json.loads(os.environ[VARIABLE])
        tree["models"] = tuple((name, folder) for name, folder in tree["models"])
        tree["rules"] = tuple(tree["rules"])
        return ServeSettings(**tree)


__all__ = ["LOOPBACK", "ServeSettings"]
