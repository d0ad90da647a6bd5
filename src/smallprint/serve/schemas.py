"""What comes in and goes out, as OpenAPI tells it. Limits that depend on settings are checked in the routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CLAUSE = "We may close your account at any time and without notice."


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class PredictIn(_In):
    """Texts to be labelled."""

    texts: Annotated[list[str], Field(min_length=1, examples=[[CLAUSE]])]
    model: Annotated[str | None, Field(description="A model's name; the first when left out.")] = None


class ScanIn(_In):
    """A document as text; other documents are sent as they are, with their name in the query."""

    text: Annotated[str, Field(min_length=1, examples=[f"1. Accounts\\n{CLAUSE}"])]
    name: Annotated[str, Field(min_length=1, max_length=255)] = "text"
    model: str | None = None


class ExplainIn(_In):
    """A text and the label in question."""

    text: Annotated[str, Field(min_length=1, examples=[CLAUSE])]
    label: Annotated[str, Field(min_length=1)]
    model: str | None = None


class PredictionOut(BaseModel):
    """What the model says of one text: nothing of one that is empty or white space."""

    labels: list[str]
    scores: dict[str, float]
    decision: Annotated[str | None, Field(description="cleared, flagged or person; null without a policy.")]


class PredictOut(BaseModel):
    """Predictions, in the order of the texts."""

    model: str
    version: str
    predictions: list[PredictionOut]


class EvidenceOut(BaseModel):
    """A word that carried a finding."""

    start: int
    end: int
    text: str
    weight: float


class ExplainOut(BaseModel):
    """Words that speak for the label, in the order of the text."""

    label: str
    evidence: list[EvidenceOut]


class WindowOut(BaseModel):
    """The part of a long sentence that carried a finding, in characters of the document, and how many parts there are."""

    start: int
    end: int
    of: int


class FindingOut(BaseModel):
    """A sentence that was labelled, or is left to a person."""

    text: str
    start: int
    end: int
    page: int | None
    heading: str | None
    labels: list[str]
    scores: dict[str, float]
    decision: str | None
    window: WindowOut | None = None


class ErrorOut(BaseModel):
    """Why a document could not be read."""

    found: str
    expected: str
    do: Annotated[str, Field(description="What to do about it.")]


class DocumentOut(BaseModel):
    """Findings of one document; of one that could not be read its error."""

    name: str
    characters: int | None = None
    pages: int | None = None
    sentences: int | None = None
    notes: list[str] = []
    findings: list[FindingOut] = []
    text: Annotated[str | None, Field(description="The extracted text, with whole=true.")] = None
    page_starts: list[int] | None = None
    headings: list[tuple[int, int]] | None = None
    scored: Annotated[
        list[tuple[int, int, list[float]]] | None,
        Field(description="Start, end and scores of every sentence that is no bare heading, with whole=true."),
    ] = None
    error: ErrorOut | None = None


class ScanOut(BaseModel):
    """Findings of what was sent: one document, or those of an archive."""

    model: str
    version: str
    documents: list[DocumentOut]


class LabelsOut(BaseModel):
    """Label names, and why each matters where that is known."""

    labels: list[str]
    reasons: dict[str, str]


class ModelOut(BaseModel):
    """A model's card."""

    model_config = ConfigDict(extra="allow")
    name: str
    version: str
    task: str
    labels: list[str]
    thresholds: list[float]


class ModelsOut(BaseModel):
    """All models; the first answers where none is named."""

    models: list[ModelOut]


class StateOut(BaseModel):
    """How the server is."""

    status: str


class ProblemOut(BaseModel):
    """Problem details (RFC 9457) with a stable code."""

    type: str
    title: str
    status: int
    code: str
    detail: str


__all__ = [
    "DocumentOut",
    "ExplainIn",
    "ExplainOut",
    "LabelsOut",
    "ModelOut",
    "ModelsOut",
    "PredictIn",
    "PredictOut",
    "ProblemOut",
    "ScanIn",
    "ScanOut",
    "StateOut",
]
