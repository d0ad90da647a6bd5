"""The same exported model behind LitServe with its own batching. `benchmarks/serve.py` measures it beside `smallprint serve`."""

# no `from __future__ import annotations`: LitServe reads the type of the request itself
import os
import sys
from typing import Any

import litserve

from smallprint.inference.engine import Engine, load_engine
from smallprint.packaging.bundle import find_bundle


class Clauses(litserve.LitAPI):
    """Labels one text a request; LitServe makes the batches."""

    engine: Engine

    def setup(self, device: str) -> None:
        self.engine = load_engine(find_bundle(os.environ["ONNX_MODEL"]))

    def decode_request(self, request: dict[str, Any], **_: Any) -> str:
        text: str = request["texts"][0]
        return text

    def predict(self, texts: list[str], **_: Any) -> list[dict[str, Any]]:
        found = self.engine.predict(texts)
        return [
            {"labels": labels, "scores": dict(zip(found.label_names, row, strict=True))}
            for labels, row in zip(found.labels, found.scores.tolist(), strict=True)
        ]

    def encode_response(self, output: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {"predictions": [output]}


if __name__ == "__main__":
    api = Clauses(max_batch_size=32, batch_timeout=0.005, api_path="/v1/predict")
    server = litserve.LitServer(api, accelerator="cpu", healthcheck_path="/ready", timeout=30)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False)
