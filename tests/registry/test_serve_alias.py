"""A server of NAME@ALIAS takes what is promoted while it runs, and goes on where the store is away."""

import asyncio

import pytest

from smallprint.registry.promote import promote, rollback
from smallprint.serve.models import Models, name_of
from smallprint.serve.settings import ServeSettings

pytest.importorskip("fastapi")


@pytest.mark.slow
def test_a_promoted_version_is_taken_and_a_rollback_too(two_runs, store, monkeypatch):
    promote(two_runs["bad"], "toys")
    models = Models(ServeSettings(models=(name_of("toys@champion"),)))
    models.load()
    assert list(models.served) == ["toys"]
    first = models.find("toys").engine.version

    def renewed():
        asyncio.run(models._renew("toys", "toys@champion"))
        return models.find("toys").engine.version

    assert renewed() == first
    promote(two_runs["good"], "toys")
    second = renewed()
    assert second != first
    rollback("toys")
    assert renewed() == first
    promote("toys@2", "toys")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.replace("mlflow.db", "nowhere.db"))
    assert renewed() == first
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    assert renewed() == second
    for lane in models.lanes:
        lane.shutdown()


def test_what_is_served_is_called_by_its_name():
    assert name_of("toys@champion") == ("toys", "toys@champion")
    assert name_of("new=toys@staging") == ("new", "toys@staging")
