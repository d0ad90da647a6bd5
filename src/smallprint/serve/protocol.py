"""Connections within limits: how many, and how long one may be silent before its request. uvicorn limits neither."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from smallprint.serve.problems import Problem


class LimitedProtocol(H11Protocol):
    """uvicorn's protocol that refuses a connection too many and closes one that does not send a whole head in time.

    Attributes:
        most: Open connections.
        seconds: For the head of a request.
    """

    most: ClassVar[int] = 1_000
    seconds: ClassVar[float] = 10.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Takes a connection, or refuses it with 503."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            answer = Problem("overloaded", "Too many connections are open. Try again soon.").response()
            lines = [b"HTTP/1.1 503 Service Unavailable", *(b": ".join(pair) for pair in answer.raw_headers)]
            transport.write(b"\r\n".join([*lines, b"connection: close", b"", bytes(answer.body)]))
            transport.close()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Passes data on; while no head is whole, the clock runs."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


__all__ = ["LimitedProtocol"]
