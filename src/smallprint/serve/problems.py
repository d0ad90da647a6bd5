"""What a client is told where something is wrong: problem details (RFC 9457) with a stable code. No trace, no text of theirs."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

from smallprint.core.errors import (
    BundleError,
    ConfigError,
    DataError,
    DocumentError,
    MissingExtraError,
    SmallprintError,
)

MEDIA_TYPE = "application/problem+json"
CODES = {
    "invalid": 422,
    "document": 422,
    "not-json": 400,
    "media-type": 415,
    "key": 401,
    "host": 403,
    "origin": 403,
    "not-found": 404,
    "method": 405,
    "too-slow": 408,
    "too-large": 413,
    "rate": 429,
    "overloaded": 503,
    "timeout": 503,
    "not-ready": 503,
    "outbox": 503,
    "internal": 500,
}
AGAIN = {"rate", "overloaded", "timeout", "not-ready", "outbox"}  # the same request may succeed later


class Problem(Exception):  # noqa: N818
    """An answer that is no answer.

    Args:
        code: One of `CODES`.
        detail: What was found, expected, and to be done.
        after: Seconds until the client may try again.
    """

    def __init__(self, code: str, detail: str, after: float | None = None) -> None:
        super().__init__(code)
        self.code, self.detail, self.status = code, detail, CODES[code]
        self.after = after if after is not None or code not in AGAIN else 1.0

    def to_dict(self) -> dict[str, object]:
        """The problem's members."""
        return {
            "type": f"/problems/{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }

    def response(self) -> Response:
        """The answer."""
        headers = {} if self.after is None else {"retry-after": str(max(1, round(self.after)))}
        if self.code == "key":
            headers["www-authenticate"] = "Bearer"
        if self.code in ("too-large", "too-slow"):
            headers["connection"] = "close"
        return Response(json.dumps(self.to_dict()), self.status, headers, MEDIA_TYPE)


def bug() -> Problem:
    """Gives what a client is told of a bug: nothing of it."""
    return Problem("internal", "The server could not do it. What happened stands in its log.")


def problem_of(error: SmallprintError) -> Problem:
    """Gives what a client is told of one of our errors."""
    code = "document" if isinstance(error, DocumentError) else "invalid"
    if isinstance(error, MissingExtraError):
        return Problem("media-type", f"This server cannot read such files. {error.found}")
    if not isinstance(error, (DataError, DocumentError, ConfigError)) or isinstance(error, BundleError):
        return bug()
    return Problem(code, " ".join(part for part in (error.found, error.do) if part))


__all__ = ["CODES", "MEDIA_TYPE", "Problem", "bug", "problem_of"]
