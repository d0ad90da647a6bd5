"""`POST /v1/predict` past the framework, which takes as long for its own as all the rest of a request. In: what the guard let in.

The answers are the route's, by the same function. What has a header that the route checks, or is acted on, goes through the framework.
"""

from __future__ import annotations

from types import SimpleNamespace

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from smallprint.core.errors import SmallprintError
from smallprint.serve.acting import CHECKED
from smallprint.serve.problems import problem_of
from smallprint.serve.routes import PREDICT, label

ROUTE = SimpleNamespace(path=PREDICT)  # what the guard counts it under


class Straight:
    """Answers predictions, and leaves all else to the application.

    Args:
        app: The application.
    """

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, whose body is there.

        Raises:
            Problem: It is answered by the guard.
        """
        if (
            scope["type"] != "http"
            or scope["path"] != PREDICT
            or scope["method"] != "POST"
            or self.app.state.acting is not None
            or any(name.lower() in CHECKED for name, _ in scope["headers"])
        ):
            await self.app(scope, receive, send)
            return
        scope["route"] = ROUTE
        kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
        body = (await receive()).get("body", b"")
        try:
            answer = await label(self.app.state, kind.decode("latin-1"), body)
        except SmallprintError as error:
            raise problem_of(error) from None
        await answer(scope, receive, send)


__all__ = ["Straight"]
