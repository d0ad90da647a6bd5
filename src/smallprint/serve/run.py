"""The server's process: uvicorn with our limits, one worker or several, which ends by answering what it has taken."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import tempfile
from dataclasses import replace

from smallprint.actions.rules import read_rules
from smallprint.core.errors import ConfigError
from smallprint.core.progress import Say
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.manifest import AnyManifest, check_files, check_manifest, read_manifest
from smallprint.serve.keys import read_keys
from smallprint.serve.settings import ServeSettings

DRAIN_SECONDS = 30
HEALTH_SECONDS = 30  # until a worker that does not answer is replaced: a large batch may hold it
CANNOT_START = 3  # exit code of a worker with which uvicorn ends the others too; after any other it starts a new one


def run(settings: ServeSettings, say: Say) -> int:
    """Serves until it is told to stop, and gives the exit code.

    Raises:
        ConfigError: Strangers could come in, the port is taken, or a rule of the actions is wrong.
        DataError: Another process works on the outbox.
        BundleError: A model is not there, or is damaged.
    """
    import uvicorn

    settings.check()
    if settings.keys:
        read_keys(settings.keys)
    manifests: list[AnyManifest] = []
    for _, folder in settings.models:
        place = find_bundle(folder)
        manifests.append(check_manifest(read_manifest(place), place))
        if settings.workers > 1:  # where there is one, what loads it checks them and tells this process
            check_files(place, manifests[-1].files, ())
    sending: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if settings.actions is not None:
        from smallprint.serve.acting import Sending

        rules = read_rules(settings.actions, [name for manifest in manifests for name in manifest.label_names])
        outbox = settings.outbox or f"{settings.actions}.outbox.sqlite"
        sending = Sending(outbox, rules)
        settings = replace(settings, outbox=outbox, rules=tuple(rule.model_dump() for rule in rules))
    bound = _bind(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    say(
        f"Serving {', '.join(name for name, _ in settings.models)} at http://{host}:{bound.getsockname()[1]}; Ctrl-C ends it."
    )
    if settings.insecure and settings.keys is None:
        say("Anybody who can reach this machine may use it: no key is asked for (--insecure).")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings.to_environment()
    with tempfile.TemporaryDirectory(prefix="smallprint-") as shared, sending:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        config = uvicorn.Config(
            "smallprint.serve.app:from_environment",
            factory=True,
            http="smallprint.serve.protocol:LimitedProtocol",
            ws="none",
            host=settings.host,
            port=settings.port,
            workers=settings.workers,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            backlog=min(settings.connections, 2048),
            timeout_keep_alive=30,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            timeout_worker_healthcheck=HEALTH_SECONDS,
        )
        if settings.workers > 1:
            from uvicorn.supervisors import Multiprocess

            processes = Multiprocess(config, sockets=[bound])
            processes.run()
            return int(any(process.exitcode == CANNOT_START for process in processes.processes))
        if settings.actions is not None:
            signal.signal(signal.SIGTERM, _end)
        server = uvicorn.Server(config)
        server.run(sockets=[bound])
        return 0 if server.started else 1


def _end(*_: object) -> None:
    """Ends as SIGTERM wants; uvicorn raises it again once all is answered, and what is to be delivered then goes out first."""
    raise SystemExit(0)


def _bind(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    # Windows would let another program share the port that is reused
    bound.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR), 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        raise ConfigError(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}).",
            "a free one",
            "Give another --port.",
        ) from None
    bound.set_inheritable(True)
    return bound


__all__ = ["run"]
