"""The application: models, limits, routes and page put together. In: settings. Out: what an ASGI server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from smallprint import __version__
from smallprint.core.errors import SmallprintError
from smallprint.core.extras import missing_extra
from smallprint.serve.acting import Acting
from smallprint.serve.guard import Guard
from smallprint.serve.keys import read_keys
from smallprint.serve.measures import Measures
from smallprint.serve.models import Models
from smallprint.serve.problems import Problem, bug, problem_of
from smallprint.serve.protocol import LimitedProtocol
from smallprint.serve.routes import router
from smallprint.serve.run import CANNOT_START
from smallprint.serve.scans import Scans
from smallprint.serve.settings import ServeSettings
from smallprint.serve.straight import Straight

log = logging.getLogger("smallprint.serve")
AGAIN_SECONDS = 5.0  # until a worker that cannot start beside others is tried again
STATUS_CODES = {404: "not-found", 405: "method", 415: "media-type", 400: "not-json"}


def build_app(settings: ServeSettings, models: Models | None = None) -> ASGIApp:
    """Gives the application.

    Args:
        settings: Limits, keys, names of models.
        models: Loaded ones; loaded here when left out.

    Raises:
        ConfigError: Strangers could come in, or the file of keys cannot be read.
        BundleError: A model is damaged or not there.
    """
    settings.check()
    keys = read_keys(settings.keys) if settings.keys else {}
    if models is None:
        models = Models(settings)
        models.load()
    measures = Measures()
    acting = Acting(settings) if settings.rules else None

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.scans = Scans(settings)
        watch = asyncio.create_task(models.watch())
        yield
        watch.cancel()
        for lane in models.lanes:
            lane.shutdown(wait=False, cancel_futures=True)
        if acting is not None:
            acting.close()

    app = FastAPI(
        title="smallprint",
        version=__version__,
        description="Labels for texts, and findings in documents, by models of your own.",
        docs_url=None,  # its page loads from elsewhere
        redoc_url=None,
        lifespan=life,
    )
    app.state.settings, app.state.models, app.state.measures, app.state.acting = settings, models, measures, acting
    app.include_router(router)
    app.add_exception_handler(Problem, _tell)
    app.add_exception_handler(SmallprintError, _tell)
    app.add_exception_handler(HTTPException, _tell)
    app.add_exception_handler(RequestValidationError, _tell)
    app.add_exception_handler(Exception, _tell)
    return Guard(Straight(app), settings, keys, measures)


async def _tell(_: Request, error: Any) -> Response:
    """Answers with the problem that an error is."""
    if isinstance(error, SmallprintError):
        error = problem_of(error)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        error = Problem("invalid", f"{'.'.join(map(str, first['loc']))[:80]}: {first['msg']}.")
    elif isinstance(error, HTTPException):
        code = STATUS_CODES.get(error.status_code, "invalid")
        told = Problem(code, str(error.detail))
        answer = told.response()
        answer.headers.update(error.headers or {})
        return answer
    elif not isinstance(error, Problem):  # a bug; the guard writes its place into the log
        error = bug()
    return error.response()  # type: ignore[no-any-return]


def from_environment() -> ASGIApp:
    """Gives the application of a worker process, as its parent told by the environment.

    Raises:
        SmallprintError: As for `build_app`, where this process is the only one.
        SystemExit: One of several workers cannot start. Where none ever could, all end; else the others answer on, and it is tried again.
    """
    settings = ServeSettings.from_environment()
    LimitedProtocol.most, LimitedProtocol.seconds = settings.connections, settings.body_seconds
    if settings.workers == 1:
        return build_app(settings)
    one_could = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"], "started")
    try:
        app = build_app(settings)
    except Exception as error:
        missing = missing_extra(error, "Serving this model needs") if isinstance(error, ModuleNotFoundError) else None
        ours = missing or error
        log.error("A worker cannot start. %s", ours, exc_info=None if isinstance(ours, SmallprintError) else error)
        if not one_could.exists():
            raise SystemExit(CANNOT_START) from None
        time.sleep(AGAIN_SECONDS)
        raise SystemExit(1) from None
    one_could.touch()
    return app


__all__ = ["build_app", "from_environment"]
