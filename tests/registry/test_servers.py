"""Real servers on loopback: MLflow's model server, Spark; and servers that are none."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from started import HERE, Process, free_port

import smallprint
from smallprint.core.errors import BundleError
from smallprint.core.mlflow_store import told
from smallprint.packaging.bundle import find_bundle
from smallprint.registry.promote import promote

pytestmark = pytest.mark.usefixtures("loopback")
TEXTS = ["we may scarlet", "the leaf", "nothing"]


@pytest.mark.slow
def test_mlflow_serves_a_registered_model(two_runs, store, tmp_path):
    promote(two_runs["good"], "toys")
    port = free_port()
    words = ("models", "serve", "-m", "models:/toys@champion", "--env-manager", "local")
    server = Process(*words, port=port, health="ping", folder=tmp_path)
    try:
        body = json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}}).encode()
        request = urllib.request.Request(
            f"{server.url}/invocations", data=body, headers={"Content-Type": "application/json"}
        )
        rows = json.load(urllib.request.urlopen(request, timeout=60))["predictions"]
    finally:
        server.kill()
    expected = smallprint.predict(two_runs["good"], TEXTS)
    assert [row["labels"] for row in rows] == expected.labels
    assert [row["score_red"] for row in rows] == pytest.approx(
        expected.scores[:, expected.label_names.index("red")].tolist()
    )
    saved = [path.name for path in (tmp_path / "runs" / "artifacts").rglob("*") if path.is_file()]
    assert {"MLmodel", "pyfunc_code.py", "input_example.json", "manifest.json"} <= set(saved)
    assert not [name for name in saved if name.endswith((".pkl", ".pickle", ".joblib"))]


@pytest.mark.slow
def test_spark_scores_with_a_registered_model(two_runs, store, tmp_path):
    pytest.importorskip("pyspark", reason="pip install pyspark")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    promote(two_runs["good"], "toys")
    code = """
import json, sys, mlflow.pyfunc
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
         .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
found = mlflow.pyfunc.spark_udf(spark, "models:/toys@champion", env_manager="local")
rows = spark.createDataFrame([(text,) for text in json.loads(sys.argv[1])], ["text"]).withColumn("found", found("text")).collect()
print(json.dumps([[row.found.labels, row.found.score_red] for row in rows]))
"""
    command = [sys.executable, "-c", code, json.dumps(TEXTS)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=tmp_path, env={**os.environ, **HERE}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    expected = smallprint.predict(two_runs["good"], TEXTS)
    column = expected.scores[:, expected.label_names.index("red")].tolist()
    found = json.loads(done.stdout.splitlines()[-1])
    assert [row[0] for row in found] == expected.labels
    assert [row[1] for row in found] == pytest.approx(column)


class Rubbish(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page."""

    wait = 0.0
    status = 200

    def do_GET(self):
        time.sleep(type(self).wait)
        self.send_response(type(self).status)
        self.end_headers()
        self.wfile.write(b"<html>Welcome!</html>")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def rubbish(monkeypatch, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Rubbish)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("SMALLPRINT_CACHE", str(tmp_path))
    yield Rubbish
    Rubbish.wait, Rubbish.status = 0.0, 200
    server.shutdown()
    server.server_close()


def refusal():
    with pytest.raises(BundleError) as error:
        find_bundle("toys@champion")
    assert "secret" not in str(error.value)
    assert "http://127.0.0.1" in str(error.value)
    return error.value.found


@pytest.mark.parametrize("status", [200, 404, 500])
def test_a_server_that_is_none(rubbish, status):
    rubbish.status = status
    assert ("does not answer" if status == 500 else "answered what is not understood") in refusal()


def test_a_server_that_does_not_let_you_in(rubbish):
    rubbish.status = 403
    assert "does not let you in" in refusal()


def test_a_server_that_is_slow(rubbish, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    rubbish.wait = 4.0
    start = time.monotonic()
    assert "does not answer" in refusal()
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("port", [401, 40161, 14030])
def test_a_port_is_no_status(port):
    error = OSError(f"HTTPConnectionPool(host='127.0.0.1', port={port}): Read timed out. http://127.0.0.1:{port}/x")
    assert "does not answer" in told(f"http://127.0.0.1:{port}", error).found
    refused = OSError(f"API request to http://127.0.0.1:{port}/x failed with error code 403 != 200")
    for error in (refused, OSError(f"http://127.0.0.1:{port}/x: status_code=401")):
        assert "does not let you in" in told(f"http://127.0.0.1:{port}", error).found


def test_a_server_that_is_away(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert "does not answer" in refusal()
