"""A bundle that is replaced: what cannot be loaded is refused, whatever is wrong with it, and the next good one is taken."""

import asyncio
from types import SimpleNamespace

import pytest

from smallprint.core.errors import BundleError
from smallprint.serve import models as module
from smallprint.serve.models import Models
from smallprint.serve.settings import ServeSettings


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "ModuleNotFoundError"),
        (ValueError("a private text"), "ValueError"),
        (BundleError("model.onnx was changed.", "another hash", "Copy it again."), "model.onnx was changed."),
    ],
)
def test_what_cannot_be_loaded_is_refused_and_the_next_is_taken(monkeypatch, caplog, error, said):
    stamps = ["old", "away", "bad", "bad", "bad", "good"]
    served = {name: SimpleNamespace(stamp=name, card={"version": name}) for name in ("old", "good")}

    def stamp(folder):
        found = stamps.pop(0) if len(stamps) > 1 else stamps[0]
        if found == "away":
            raise ValueError("a private answer of the registry")
        return found

    def load(name, folder):
        if stamps[0] != "good":
            raise error
        return served["good"]

    async def watched():
        watch = asyncio.create_task(models.watch())
        while models.served["a"] is served["old"] and not watch.done():
            await asyncio.sleep(0.01)
        watch.cancel()

    models = Models(ServeSettings((("a", "nowhere"),), reload_seconds=0.01))
    models.served["a"] = served["old"]
    monkeypatch.setattr(module, "_stamp", stamp)
    monkeypatch.setattr(models, "_load", load)
    asyncio.run(watched())
    assert models.served["a"] is served["good"]
    assert caplog.text.count(said) == 1
    assert "private" not in caplog.text
    assert "torch" not in caplog.text
