"""A small client: predictions and findings of a server, with the standard library alone. Retries what may succeed later."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from smallprint.core.errors import SmallprintError

AGAIN = (429, 503)


class ServerError(SmallprintError):
    """What a server refused.

    Attributes:
        status: HTTP status; 0 where the server could not be reached.
        code: The problem's stable code.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail or f"The server answered with {status}.")
        self.status, self.code = status, code


class Client:
    """Asks one server.

    Args:
        url: Such as http://127.0.0.1:8000.
        key: API key, where the server asks for one.
        seconds: For an answer.
        tries: How often a request is sent that the server is too busy for.

    Example:
        >>> Client("http://127.0.0.1:8000").predict(["We may close your account."])  # doctest: +SKIP
    """

    def __init__(self, url: str, key: str | None = None, *, seconds: float = 60.0, tries: int = 5) -> None:
        self.url, self.seconds, self.tries = url.rstrip("/"), seconds, tries
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def predict(
        self, texts: Sequence[str], model: str | None = None, idempotency_key: str | None = None
    ) -> list[dict[str, Any]]:
        """Gives `labels`, `scores` and `decision` of each text, in order; send at most what the server takes at once.

        Args:
            texts: To be labelled.
            model: Its name; the server's first when left out.
            idempotency_key: Names the document where the server acts on findings: what was found in it is not acted on again.

        Raises:
            ServerError: The server refused.
        """
        body = json.dumps({"texts": list(texts), "model": model}).encode()
        told = self._send("/v1/predict", body, "application/json", idempotency_key)
        answer: list[dict[str, Any]] = told["predictions"]
        return answer

    def scan(
        self,
        document: str | Path | bytes,
        name: str | None = None,
        model: str | None = None,
        idempotency_key: str | None = None,
    ) -> list[dict[str, Any]]:
        """Gives the findings of a file, or of its content, as `smallprint scan --format json` does: a list of documents.

        Args:
            document: A file, or what stands in one.
            name: Of the file.
            model: As for `predict`.
            idempotency_key: As for `predict`.

        Raises:
            ServerError: The server refused.
        """
        content = document if isinstance(document, bytes) else Path(document).read_bytes()
        name = name or ("document" if isinstance(document, bytes) else Path(document).name)
        query = f"?name={quote(name)}" + (f"&model={quote(model)}" if model else "")
        told = self._send(f"/v1/scan{query}", content, "application/octet-stream", idempotency_key)
        answer: list[dict[str, Any]] = told["documents"]
        return answer

    def card(self, model: str | None = None) -> dict[str, Any]:
        """Gives the model's card.

        Raises:
            ServerError: The server refused.
        """
        return self._send(f"/v1/model?model={quote(model)}" if model else "/v1/model")

    def _send(
        self, path: str, body: bytes | None = None, kind: str = "", idempotency_key: str | None = None
    ) -> dict[str, Any]:
        headers = {**self._headers, **({"content-type": kind} if kind else {})}
        if idempotency_key is not None:
            headers["idempotency-key"] = idempotency_key
        request = urllib.request.Request(self.url + path, data=body, headers=headers)
        for left in range(self.tries - 1, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=self.seconds) as answer:
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                told = error.read()
                if error.code in AGAIN and left:
                    time.sleep(min(float(error.headers.get("retry-after") or 1), 30))
                    continue
                try:
                    problem = json.loads(told)
                except ValueError:
                    problem = {}
                raise ServerError(error.code, problem.get("code", ""), problem.get("detail", "")) from None
            except (urllib.error.URLError, TimeoutError, OSError) as error:
                raise ServerError(0, "unreachable", f"{self.url} cannot be reached ({error}).") from None
        raise AssertionError("unreachable")


__all__ = ["Client", "ServerError"]
