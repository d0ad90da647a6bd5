"""The image's install without Docker: size, what is not in it, start as another user who may write nothing. Writes
benchmarks/results/small_install.json.

    python benchmarks/small_install.py ONNX

It makes a new environment as the Dockerfile does (no pip in it), from the package registry, and serves ONNX, an exported bundle, from it as
the user 'nobody' where this runs as root, by the system's Python where nobody else can reach the one that runs this. The image itself:
image.py.
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
from typing import Any

from readme import ROOT
from serve import ask, free_port, ready
from smallprint.core.files import write_json

RESULTS = ROOT / "benchmarks" / "results" / "small_install.json"
PLACES = "/usr/local/bin:/usr/bin"
ABSENT = ("torch", "transformers", "pytorch_lightning", "polars", "mlflow", "sklearn", "pip")


NEEDED = "import sys, venv; sys.exit(sys.version_info < (3, 11))"
PROBE = """
import json, pathlib, sys
def may(folder):
    try:
        (pathlib.Path(folder) / "probe").write_text("x")
    except OSError:
        return False
    return True
print(json.dumps([each for each in sys.argv[1:] if may(each)]))
"""


def interpreter() -> tuple[str, int | None]:
    """Gives a Python and the number of 'nobody', where this process may start others as that user and they may reach it."""
    if os.geteuid() != 0:
        return sys.executable, None
    nobody = pwd.getpwnam("nobody").pw_uid
    for python in (
        sys.executable,
        *(found for name in ("python3", "python3.11") if (found := shutil.which(name, path=PLACES))),
    ):
        real = str(Path(python).resolve())
        try:
            reached = subprocess.run(
                [real, "-c", NEEDED], user=nobody, group=nobody, extra_groups=[], cwd="/", check=False
            )
        except PermissionError:
            continue
        if reached.returncode == 0:
            return real, nobody
    return sys.executable, None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    given = parser.parse_args()
    load = round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        python, start = folder / "venv" / "bin" / "python", time.perf_counter()
        own, user = interpreter()
        subprocess.run([own, "-m", "venv", "--without-pip", folder / "venv"], check=True)
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
        person: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        places = [str(folder), str(folder / "venv"), str(folder / "model"), "/", "/etc", "/tmp"]
        told = subprocess.run(
            [python, "-c", PROBE, *places], check=True, capture_output=True, text=True, cwd="/", **person
        )
        (Path("/tmp") / "probe").unlink(missing_ok=True)
        command = [str(folder / "venv" / "bin" / "smallprint"), "serve", str(folder / "model"), "--port", str(port)]
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd="/", env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}, **person)
        try:
            ready(process, port)
            labels = ask(port, "We may close your account at any time.")["predictions"][0]["labels"]
            spent = time.perf_counter() - begun
            served_by = Path(f"/proc/{process.pid}").stat().st_uid
        finally:
            process.terminate()
            code = process.wait(60)
    found = {
        "load_per_core": load,
        "size_mb": round(size, 1),
        "absent": [one for one in ABSENT if one not in there],
        "present": there,
        "install_s": round(seconds, 1),
        "first_answer_s": round(spent, 2),
        "labels": labels,
        "as_nobody": user is not None and served_by == user,
        "may_write": [each.replace(name, "the install") for each in json.loads(told.stdout)],
        "exit_code": code,
    }
    print(json.dumps(found))
    write_json(RESULTS, found)


if __name__ == "__main__":
    main()
