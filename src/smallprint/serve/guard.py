"""Who and what comes in: host, origin, key, rate, size and speed of a request, before anything reads it. Pure ASGI.

A body is taken whole here, within its limits, so that no reader behind waits for a client.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import OrderedDict
from pathlib import PurePath
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smallprint.serve.keys import owner_of
from smallprint.serve.measures import Measures
from smallprint.serve.problems import Problem, bug
from smallprint.serve.routes import SCAN
from smallprint.serve.settings import LOOPBACK, ServeSettings

log = logging.getLogger("smallprint.serve")
OPEN = {"/", "/page.js", "/page.css", "/health", "/ready", "/openapi.json"}  # hold nothing of anybody's
AT_ONCE = 2  # bodies of the largest size that may be in memory together, beside those of documents that are scanned
HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
CLIENTS = 10_000  # whose rate is remembered


class Guard:
    """Lets a request in, or answers it with a problem.

    Args:
        app: Answers what is let in.
        settings: The limits.
        keys: Hash by name; empty asks for none.
        measures: Counts.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, keys: dict[str, str], measures: Measures) -> None:
        self.app, self.settings, self.keys, self.measures = app, settings, keys, measures
        scans, others = settings.scans * settings.body_bytes, AT_ONCE * settings.body_bytes
        self.room = {SCAN: scans, "": others}  # bytes; a scan may take minutes, which nobody else is to wait for
        self.in_memory = dict.fromkeys(self.room, 0)
        self.rate = -(-settings.rate // settings.workers)  # workers do not know of each other's requests
        self.tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        began, status = time.perf_counter(), 0

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name.lower() for name, _ in message["headers"]}
                added = [(name, value) for name, value in HEADERS.items() if name not in given]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        held, room = 0, scope["path"] if scope["path"] in self.room else ""
        try:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            client = self._check(scope, headers)
            self._check_rate(client)
            body, held = await self._body(room, headers, receive)
            await self.app(scope, _replay(body, receive), send_guarded)
        except Problem as problem:
            await problem.response()(scope, receive, send_guarded)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a bug: its place goes to the log, without what it says, which may hold a text
            places = " < ".join(
                f"{PurePath(f.filename).name}:{f.lineno}"
                for f in reversed(traceback.extract_tb(error.__traceback__)[-4:])
            )
            log.error("%s at %s", type(error).__name__, places)
            if not status:
                await bug().response()(scope, receive, send_guarded)
        finally:
            self.in_memory[room] -= held
            route = scope.get("route")
            self.measures.count(getattr(route, "path", "other"), status, time.perf_counter() - began)

    def _check(self, scope: Scope, headers: dict[str, str]) -> str:
        """Gives who asks: the name of their key, or their address."""
        host = _name_of(headers.get("host", ""))
        if (
            self.settings.host in LOOPBACK and host not in LOOPBACK
        ):  # a page elsewhere that renamed itself to this machine
            raise Problem("host", "This server answers to the name of this machine alone.")
        origin = headers.get("origin")
        if origin and scope["method"] not in ("GET", "HEAD") and urlsplit(origin).netloc != headers.get("host"):
            raise Problem("origin", "Another site's page may not ask this server.")
        address = (scope.get("client") or ("unknown",))[0]
        if not self.keys or scope["path"] in OPEN:
            return f"address {address}"
        scheme, _, key = headers.get("authorization", "").partition(" ")
        owner = owner_of(key.strip(), self.keys) if scheme.lower() == "bearer" else None
        if owner is None:
            raise Problem("key", "An API key is needed: Authorization: Bearer KEY.")
        return f"key {owner}"

    def _check_rate(self, client: str) -> None:
        """Takes a token out of the client's bucket, which fills with `rate` a minute and holds as many."""
        if not (rate := self.rate):
            return
        now = time.monotonic()
        left, since = self.tokens.pop(client, (float(rate), now))
        left = min(float(rate), left + (now - since) * rate / 60)
        self.tokens[client] = (max(left - 1, 0.0) if left >= 1 else left, now)
        if len(self.tokens) > CLIENTS:
            self.tokens.popitem(last=False)
        if left < 1:
            raise Problem("rate", f"More than {rate:,} requests a minute. Wait.", after=(1 - left) * 60 / rate)

    async def _body(self, room: str, headers: dict[str, str], receive: Receive) -> tuple[bytes, int]:
        """Gives a body, taken whole, and how much of its room it holds."""
        said, limit = headers.get("content-length", ""), self.settings.body_bytes
        too_large = Problem("too-large", f"A request may have {self.settings.body_mb:g} MB.")
        if said.isdigit() and int(said) > limit:
            raise too_large
        deadline = time.monotonic() + self.settings.body_seconds
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                try:
                    async with asyncio.timeout(max(deadline - time.monotonic(), 0.001)):  # no task of its own
                        message = await receive()
                except TimeoutError:
                    raise Problem(
                        "too-slow", f"The request was not whole within {self.settings.body_seconds:g} s."
                    ) from None
                if message["type"] == "http.disconnect":
                    raise Problem("too-slow", "The request was not sent whole.")
                part = message.get("body", b"")
                size += len(part)
                self.in_memory[room] += len(part)
                if size > limit:
                    raise too_large
                if self.in_memory[room] > self.room[room]:
                    raise Problem("overloaded", "Too many large requests at once. Try again soon.")
                parts.append(part)
                if not message.get("more_body", False):
                    return b"".join(parts), size
        except BaseException:
            self.in_memory[room] -= size
            raise


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives a `receive` that has the body at once, and then waits for the client to go."""
    told = False

    async def again() -> Any:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _name_of(host: str) -> str:
    """Gives a Host header's name without its port."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host


__all__ = ["Guard"]
