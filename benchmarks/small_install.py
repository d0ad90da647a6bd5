"""The image's install without Docker: size, what is not in it, start as another user who may write nothing. Writes
benchmarks/results/small_install.json.

    python benchmarks/small_install.py ONNX

It makes a new environment as the Dockerfile does (no pip in it), from the package registry, and serves ONNX, an exported bundle, from it as
the user 'nobody' where this runs as root. The image adds Python's own (about 125 MB for python:3.12-slim, not measured here).
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from readme import ROOT
from serve import ask, free_port, ready
from smallprint.core.files import write_json

RESULTS = ROOT / "benchmarks" / "results" / "small_install.json"
ABSENT = ("torch", "transformers", "pytorch_lightning", "polars", "mlflow", "sklearn", "pip")


def other_user(python: Path) -> int | None:
    """Gives the number of 'nobody' where this process may start others as that user and they may reach the interpreter."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody").pw_uid
    reached = subprocess.run(["/usr/bin/test", "-x", str(python)], user=nobody, check=False).returncode == 0
    return nobody if reached else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        python, start = folder / "venv" / "bin" / "python", time.perf_counter()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "-q",
            "-c",
            str(ROOT / "constraints.txt"),
        ]
        subprocess.run([*pip, f"{ROOT}[serve,documents]"], check=True)
        shutil.rmtree(ROOT / "build", ignore_errors=True)
        seconds = time.perf_counter() - start
        code = f"import importlib.util as u, json; print(json.dumps([n for n in {ABSENT!r} if u.find_spec(n)]))"
        there = json.loads(subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout)
        size = sum(p.stat().st_blocks * 512 for p in (folder / "venv").rglob("*") if not p.is_symlink()) / 1e6
        shutil.copytree(given.onnx, folder / "model")
        port = free_port()
        user = other_user(python)
        command = [str(folder / "venv" / "bin" / "smallprint"), "serve", str(folder / "model"), "--port", str(port)]
        begun = time.perf_counter()
        process = subprocess.Popen(command, user=user, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
        try:
            ready(process, port)
            labels = ask(port, "We may close your account at any time.")["predictions"][0]["labels"]
            spent = time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait(60)
    found = {
        "size_mb": round(size, 1),
        "absent": [one for one in ABSENT if one not in there],
        "present": there,
        "install_s": round(seconds, 1),
        "first_answer_s": round(spent, 2),
        "labels": labels,
        "as_nobody": user is not None,
    }
    print(json.dumps(found))
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
