"""The answers, one function each. What is shared by several stands in `app.state`: models, scans, measures, settings, acting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ValidationError

from smallprint.core.errors import SmallprintError
from smallprint.documents.document import Document
from smallprint.documents.plain import read_text
from smallprint.inference.engine import check_texts
from smallprint.inference.evidence import tell_evidence
from smallprint.inference.scan_page import reasons
from smallprint.serve.acting import KEY, Acting, NoActions
from smallprint.serve.acting import Document as Named
from smallprint.serve.models import Served
from smallprint.serve.problems import MEDIA_TYPE, Problem, problem_of
from smallprint.serve.scans import QueuedEngine
from smallprint.serve.schemas import (
    ExplainIn,
    ExplainOut,
    LabelsOut,
    ModelOut,
    ModelsOut,
    PredictIn,
    PredictOut,
    ProblemOut,
    ScanIn,
    ScanOut,
    StateOut,
)

PROBLEM: dict[str, Any] = {"model": ProblemOut, "content": {MEDIA_TYPE: {}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": "A problem with a stable code", **PROBLEM}
    for code in (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 503)
}
DOCUMENT_TYPES = (
    "application/octet-stream",
    "application/pdf",
    "text/plain",
    "text/html",
    "text/markdown",
    "application/zip",
)
BINARY = {"schema": {"type": "string", "format": "binary"}}
ModelName = Annotated[
    str | None, Query(alias="model", max_length=255, description="A model's name; the first when left out.")
]
PREDICT, SCAN = "/v1/predict", "/v1/scan"
router = APIRouter(responses=PROBLEMS)


def _given(model: type[BaseModel], tree: Any) -> Any:
    """Gives a body as its schema has it; what is said of a wrong one repeats nothing of it."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem("invalid", f"{place[:80]}: {first['msg']}.") from None


def _json(kind: str, body: bytes) -> Any:
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise Problem("media-type", "The body is to be JSON, sent with the header Content-Type: application/json.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Problem("not-json", "The body is no JSON.") from None


def _check_text(text: str, place: str, limit: int) -> None:
    if len(text) > limit:
        raise Problem("too-large", f"{place} has {len(text):,} characters; {limit:,} are allowed.")
    check_texts([text])


def _body(model: type[BaseModel], more: dict[str, Any] | None = None) -> dict[str, Any]:
    """Gives what OpenAPI says of a body that the route reads by itself."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}, **(more or {})}}}


@router.post(PREDICT, response_model=PredictOut, openapi_extra=_body(PredictIn), tags=["texts"])
async def predict(request: Request, document: Named = None, actions: NoActions = None) -> Response:
    """Label texts: the same labels and scores as `smallprint predict` gives."""
    acting: Acting | None = None if actions else request.app.state.acting
    kind = request.headers.get("content-type", "")
    return await label(request.app.state, kind, await request.body(), acting, document)


async def label(
    state: Any, kind: str, body: bytes, acting: Acting | None = None, document: str | None = None
) -> Response:
    """Gives the answer to a request for predictions, of this media type and body.

    Raises:
        Problem: Something is wrong with the request, or too much waits.
        SmallprintError: What the engine raises for these texts.
    """
    given: PredictIn = _given(PredictIn, _json(kind, body))
    if len(given.texts) > state.settings.texts:
        raise Problem("too-large", f"{len(given.texts):,} texts were sent; {state.settings.texts:,} are allowed.")
    for place, text in enumerate(given.texts):
        _check_text(text, f"Text {place + 1}", state.settings.characters)
    served: Served = state.models.find(given.model)
    headers = {} if acting is None else {KEY: await acting.begin(document)}
    answer, _ = await served.batcher.predict(given.texts)
    decisions: Sequence[str | None] = answer.decisions or [None] * len(given.texts)
    names = list(answer.label_names)
    predictions: list[dict[str, Any]] = [
        {"labels": labels, "scores": dict(zip(names, row, strict=True)), "decision": decision}
        if text.strip()
        else {"labels": [], "scores": {}, "decision": None}  # as `smallprint predict` leaves such a row
        for text, labels, row, decision in zip(
            given.texts, answer.labels, answer.scores.tolist(), decisions, strict=True
        )
    ]
    state.measures.texts.labels(served.name).inc(len(predictions))
    for name in (name for one in predictions for name in one["labels"]):
        state.measures.findings.labels(served.name, name).inc()
    told = {"model": served.name, "version": served.card["version"], "predictions": predictions}
    if acting is not None:
        await acting.take_texts(headers[KEY], told, given.texts, answer)
    return JSONResponse(told, headers=headers)


@router.post(
    SCAN,
    response_model=ScanOut,
    responses={200: {"content": {"application/x-ndjson": {}}}},
    openapi_extra=_body(ScanIn, dict.fromkeys(DOCUMENT_TYPES, BINARY)),
    tags=["documents"],
)
async def scan(
    request: Request,
    name: Annotated[
        str, Query(max_length=255, description="The file's name, which tells Markdown from text.")
    ] = "document",
    model: ModelName = None,
    whole: Annotated[bool, Query(description="Give the text and every sentence's scores too.")] = False,
    explain: Annotated[bool, Query(description="Say which words carried each finding.")] = False,
    stream: Annotated[bool, Query(description="JSON Lines: how far it is, and last the answer or a problem.")] = False,
    document: Named = None,
    actions: NoActions = None,
) -> Response:
    """Find in a document what the model labels. The body is the file itself (txt, md, html, docx, pdf, zip), or JSON with `text`."""
    state = request.app.state
    content: bytes | Document = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        given: ScanIn = _given(ScanIn, _json(request.headers.get("content-type", ""), await request.body()))
        _check_text(given.text, "The text", state.settings.document_characters)
        name, model = given.name, given.model or model
        try:
            content = read_text(given.text.encode(), name)
        except SmallprintError as error:
            raise problem_of(error) from None
    elif kind not in DOCUMENT_TYPES and not kind.startswith("application/vnd."):
        raise Problem(
            "media-type",
            "Send a document with Content-Type: application/octet-stream, or JSON with its text.",
        )
    elif not content:
        raise Problem("invalid", "The document is empty (0 bytes).")
    served: Served = state.models.find(model)
    found = state.scans.scan(served, content, name, whole, explain)
    acting: Acting | None = None if actions else state.acting
    headers = {} if acting is None else {KEY: await acting.begin(document)}
    if acting is not None:
        found = _acted(found, acting, headers[KEY], name)
    if stream:
        return StreamingResponse(_lines(found), headers=headers, media_type="application/x-ndjson")
    answer: dict[str, Any] = {}
    try:
        async for part in found:
            answer = part
    except SmallprintError as error:
        raise problem_of(error) from None
    return JSONResponse(answer, headers=headers)


async def _acted(
    found: AsyncIterator[dict[str, Any]], acting: Acting, document: str, name: str
) -> AsyncIterator[dict[str, Any]]:
    """Gives the same; before the answer goes out, its findings are in the outbox."""
    async for part in found:
        if "documents" in part:
            await acting.take_scanned(document, part, name)
        yield part


async def _lines(found: AsyncIterator[dict[str, Any]]) -> AsyncIterator[str]:
    """Gives each answer as a line; what goes wrong after the first is the last line, as the status is sent by then."""
    try:
        async for part in found:
            yield json.dumps(part) + "\n"
    except Problem as problem:
        yield json.dumps({"problem": problem.to_dict()}) + "\n"
    except SmallprintError as error:
        yield json.dumps({"problem": problem_of(error).to_dict()}) + "\n"


@router.post("/v1/explain", response_model=ExplainOut, openapi_extra=_body(ExplainIn), tags=["texts"])
async def explain(request: Request) -> Response:
    """Say which words of a text speak for a label."""
    state = request.app.state
    given: ExplainIn = _given(ExplainIn, _json(request.headers.get("content-type", ""), await request.body()))
    _check_text(given.text, "The text", state.settings.characters)
    served: Served = state.models.find(given.model)
    if given.label not in served.engine.labels.score_names:
        raise Problem("invalid", "The model has no such label.")
    loop, settings = asyncio.get_running_loop(), state.settings
    engine: Any = QueuedEngine(served, loop, settings.batch, settings.answer_seconds)
    evidence = await asyncio.to_thread(tell_evidence, engine, given.text, given.label)
    return JSONResponse({"label": given.label, "evidence": evidence})


@router.get("/v1/labels", response_model=LabelsOut, tags=["models"])
async def labels(request: Request, model: ModelName = None) -> Any:
    """Give the label names, and why each matters where that is known."""
    served: Served = request.app.state.models.find(model)
    names = list(served.engine.labels.names)
    known = {name: reasons().get(name.lower()) for name in names}
    return {"labels": names, "reasons": {name: " ".join(said) for name, said in known.items() if said}}


@router.get("/v1/model", response_model=ModelOut, tags=["models"])
async def model_card(request: Request, model: ModelName = None) -> Any:
    """Give a model's card: version, hashes, thresholds, operating points, metrics."""
    return request.app.state.models.find(model).card


@router.get("/v1/models", response_model=ModelsOut, tags=["models"])
async def models(request: Request) -> Any:
    """Give all models' cards."""
    return {"models": [served.card for served in request.app.state.models.served.values()]}


@router.get("/health", response_model=StateOut, tags=["state"])
async def health() -> Any:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/ready", response_model=StateOut, tags=["state"])
async def ready(request: Request) -> Any:
    """Say that every model is loaded."""
    request.app.state.models.find(None)
    return {"status": "ready"}


@router.get("/metrics", tags=["state"], response_class=Response)
async def metrics(request: Request) -> Response:
    """Give counts, as Prometheus reads them."""
    state = request.app.state
    for served in state.models.served.values():
        state.measures.waiting.labels(served.name).set(served.batcher.waiting)
    acted = b"" if state.acting is None else await state.acting.text()
    return Response(state.measures.text() + acted, media_type="text/plain; version=0.0.4; charset=utf-8")


PAGE = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}


@router.get("/", include_in_schema=False)
@router.get("/page.js", include_in_schema=False)
@router.get("/page.css", include_in_schema=False)
async def page(request: Request) -> Response:
    """Give the page and what it needs."""
    name, kind = PAGE[request.url.path]
    return Response((files("smallprint.serve") / "page" / name).read_bytes(), media_type=f"{kind}; charset=utf-8")


__all__ = ["PREDICT", "SCAN", "label", "router"]
