"""The server against its own OpenAPI: schemathesis makes requests from it, right and wrong ones, and reads the answers by it."""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from test_serve import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
EXAMPLES = os.environ.get("SMALLPRINT_SCHEMA_EXAMPLES", "10")  # a route; 500 and more make thousands of cases


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
@pytest.mark.usefixtures("loopback")
def test_answers_are_what_the_schema_says(toy_run, tmp_path):
    server = Server(toy_run / "bundle")
    try:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--seed", "1"]
        command += ["--max-examples", EXAMPLES, "-c", CHECKS, "--phases", "examples,coverage,fuzzing", "--no-color"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3000)
        cases = re.search(r"(\d+) generated", done.stdout)
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        assert cases
        assert int(cases.group(1)) > 100
        print(f"{cases.group(1)} cases")
        assert server.process.poll() is None
    finally:
        server.end()
