"""A worker that cannot start: the first ones end the server, a later one leaves the others alone and is tried again."""

import pytest

from smallprint.core.errors import BundleError
from smallprint.serve import app as module
from smallprint.serve.run import CANNOT_START
from smallprint.serve.settings import ServeSettings

DAMAGED = BundleError("model.onnx was changed.", "another hash", "Copy it again.")


@pytest.fixture
def start(monkeypatch, tmp_path):
    """`start(error, workers)`: the application of a worker whose model loads, or fails with an error; naps are told."""
    monkeypatch.setenv("SMALLPRINT_SERVE", "")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: naps.append(seconds))
    naps = []

    def run(error=None, workers=2):
        def build(settings):
            if error is not None:
                raise error
            return "the application"

        ServeSettings((("a", "nowhere"),), workers=workers).to_environment()
        monkeypatch.setattr(module, "build_app", build)
        return module.from_environment()

    run.naps = naps
    return run


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (DAMAGED, "Copy it again."),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "pip install 'smallprint[train]'"),
        (ZeroDivisionError("a bug"), "Traceback"),
    ],
)
def test_where_none_could_start_all_end(start, caplog, error, said):
    with pytest.raises(SystemExit) as caught:
        start(error)
    assert caught.value.code == CANNOT_START
    assert said in caplog.text
    assert ("Traceback" in caplog.text) == (said == "Traceback")
    assert start.naps == []


def test_a_worker_beside_others_is_tried_again(start, caplog):
    assert start() == "the application"
    with pytest.raises(SystemExit) as caught:
        start(DAMAGED)
    assert caught.value.code not in (0, CANNOT_START), "the others would be ended too"
    assert start.naps == [module.AGAIN_SECONDS]
    assert "model.onnx was changed." in caplog.text


def test_what_is_wrong_is_told_by_the_command_where_there_is_one_worker(start):
    with pytest.raises(BundleError):
        start(DAMAGED, workers=1)


def test_the_code_is_the_one_that_uvicorn_knows():
    from uvicorn.config import STARTUP_FAILURE

    assert CANNOT_START == STARTUP_FAILURE
