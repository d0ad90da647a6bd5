"""What a team writes first: FastAPI around a `transformers` pipeline. `benchmarks/serve.py` measures it beside `smallprint serve`."""

from __future__ import annotations

import os

from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

app = FastAPI()
classify = pipeline(
    "text-classification", model=os.environ["PIPELINE_MODEL"], top_k=None, truncation=True, max_length=256
)


class Texts(BaseModel):
    texts: list[str]


@app.post("/v1/predict")
def predict(given: Texts) -> list[list[dict[str, float | str]]]:
    answer: list[list[dict[str, float | str]]] = classify(given.texts)
    return answer


@app.get("/ready")
def ready() -> dict[str, str]:
    return {"status": "ready"}
