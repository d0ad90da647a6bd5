"""The image built and run: size, what is not in it, its user, what it may write, health check, answers, and how it ends. Writes
benchmarks/results/image.json.

    python benchmarks/image.py ONNX [--base IMAGE]

It needs root, podman and a runtime (Debian: apt-get install podman runc mmdebstrap), and builds Dockerfile on IMAGE, the one that
Dockerfile names by default. Where that cannot be fetched, a stand-in is made from Debian's packages with Debian's Python, and the results
say so. The container has no network: it is asked from within, by the client that is installed in it. ONNX is an exported bundle.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import inspect
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from readme import ROOT
from smallprint.core.files import write_json
from smallprint.inference.engine import load_engine
from smallprint.packaging.bundle import find_bundle
from smallprint.serve.keys import make_key

RESULTS = ROOT / "benchmarks" / "results" / "image.json"
DEBIAN = "trixie"
ABSENT = ("torch", "transformers", "pytorch_lightning", "polars", "mlflow", "sklearn", "pip")
LIMIT_MB = 400
TEXTS = [
    "We may close your account at any time, for any reason, without notice.",
    "You can reach us by electronic mail.",
    "Any dispute shall be settled by arbitration in the county of our choice.",
]
SLIM = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
# podman adds more places that may be written, which docker does not
HARDENED = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
]


class Engine:
    """podman with a store of its own, so that nothing is left behind."""

    def __init__(self, folder: Path) -> None:
        self.base = ["podman", "--root", str(folder / "store"), "--runroot", str(folder / "run")]
        if shutil.which("runc"):  # crun does not start where both versions of control groups are mounted
            self.base += ["--runtime", "runc"]

    def __call__(
        self, *words: str | Path, given: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*self.base, *map(str, words)], input=given, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"podman {words[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done

    def python(self, name: str, code: str, *words: str) -> Any:
        """Runs code in a container and gives the JSON that it prints last."""
        return json.loads(self("exec", "-i", name, "python", "-", *words, given=code).stdout.splitlines()[-1])


# ---- what runs in the container; each is sent there as its source


def facts(absent: list[str]) -> dict[str, Any]:
    import importlib.metadata
    import importlib.util
    import os
    import platform
    from pathlib import Path

    def may_write(folder: str) -> bool:
        try:
            Path(folder, "probe").write_text("x", encoding="utf-8")
        except OSError:
            return False
        Path(folder, "probe").unlink()
        return True

    status = Path("/proc/self/status").read_text(encoding="utf-8")
    folders = ["/", "/etc", "/opt/smallprint", "/model", "/usr/local", "/home", "/var/tmp", "/tmp"]
    return {
        "python": platform.python_version(),
        "user": os.getuid(),
        "group": os.getgid(),
        "capabilities": status.split("CapEff:")[1].split()[0].strip("0"),
        "no_new_privileges": status.split("NoNewPrivs:")[1].split()[0] == "1",
        "may_write": [folder for folder in folders if may_write(folder)],
        "present": [name for name in absent if importlib.util.find_spec(name)],
        "packages": {one.metadata["Name"].lower(): one.version for one in importlib.metadata.distributions()},
    }


def answers(key: str, texts: list[str], files: dict[str, str]) -> dict[str, Any]:
    import base64
    import time
    import urllib.error
    import urllib.request

    from smallprint.serve.client import Client, ServerError

    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:8000/ready", timeout=5)
            break
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
    client = Client("http://127.0.0.1:8000", key)
    found = {"predictions": client.predict(texts)}
    found["documents"] = {name: client.scan(base64.b64decode(body), name) for name, body in files.items()}
    try:
        Client("http://127.0.0.1:8000").predict(texts)
        found["stranger"] = 200
    except ServerError as error:
        found["stranger"] = error.status
    return found


def stream(key: str, texts: list[str]) -> dict[str, Any]:
    """Asks on 8 links at once until the server no longer takes any; every request that was taken must be answered whole."""
    import http.client
    import json
    import threading

    told = {"answered": 0, "broken": 0}
    lock = threading.Lock()

    def work() -> None:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        while True:
            link = http.client.HTTPConnection("127.0.0.1", 8000, timeout=60)
            try:
                link.connect()
            except OSError:
                return
            try:
                link.request("POST", "/v1/predict", json.dumps({"texts": texts}), headers)
                answer = link.getresponse()
                whole = answer.status == 200 and len(json.loads(answer.read())["predictions"]) == len(texts)
            except ConnectionResetError:
                return  # it waited in the backlog, and was never taken
            except (OSError, http.client.HTTPException):
                whole = False
            with lock:
                told["answered" if whole else "broken"] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    print("started", flush=True)
    for thread in threads:
        thread.join()
    return told


def sent(function: Any, *arguments: Any) -> str:
    """Gives a function and a call of it as a program that prints its answer as JSON."""
    source = inspect.getsource(function).replace("-> dict[str, Any]", "")
    given = json.dumps(json.dumps(arguments))
    return f"import json\n{source}\nprint(json.dumps({function.__name__}(*json.loads({given}))), flush=True)\n"


# ---- the way


def named_base() -> str:
    return re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M).group(1)  # type: ignore[union-attr]


def find_base(engine: Engine, wanted: str | None, folder: Path) -> tuple[str, str]:
    """Gives an image to build on and what it is, in words."""
    if engine("pull", wanted or f"docker.io/library/{named_base()}", check=False).returncode == 0:
        return (wanted or f"docker.io/library/{named_base()}",) * 2
    if wanted:
        raise SystemExit(f"{wanted} cannot be fetched.")
    tar, link = folder / "base.tar", "ln -s /usr/bin/python3 $1/usr/local/bin/python"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", *SLIM, f"--customize-hook={link}"]
    subprocess.run([*command, DEBIAN, str(tar)], check=True)
    engine("import", tar, "localhost/stand-in")
    tar.unlink()
    return (
        "localhost/stand-in",
        f"stand-in: Debian {DEBIAN} with its own Python and pip ({named_base()} could not be fetched)",
    )


def image_mb(engine: Engine, image: str) -> float:
    return float(json.loads(engine("image", "inspect", image).stdout)[0]["Size"] / 1e6)


def pdf(lines: list[str]) -> bytes:
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["pdf.fonttype"] = 42
    from matplotlib.figure import Figure

    figure, buffer = Figure(figsize=(8, 11)), io.BytesIO()
    for number, line in enumerate(lines):
        figure.text(0.05, 0.95 - 0.02 * number, line, fontsize=10)
    figure.savefig(buffer, format="pdf")
    return buffer.getvalue()


@contextlib.contextmanager
def container(engine: Engine, model: Path, keys: Path, *words: str, name: str = "smallprint") -> Iterator[str]:
    """Runs the image as its page says, without a network and with the limits of open files that this process has itself."""
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"]
    volumes = ["-v", f"{model}:/model:ro", "-v", f"{keys}:/keys.txt:ro"]
    engine(
        "run", "-d", "--name", name, *HARDENED, "--network", "none", *limits, *volumes, "localhost/smallprint", *words
    )
    try:
        yield name
    finally:
        engine("rm", "-f", "-t", "0", name, check=False)


def ended(engine: Engine, name: str) -> tuple[int, str]:
    """Waits for a container's end; gives its exit code and what it said."""
    code = int(engine("wait", name).stdout)
    told = engine("logs", name)
    return code, (told.stdout + told.stderr).strip()


def drained(engine: Engine, name: str, key: str) -> dict[str, Any]:
    """Gives what became of requests while the container was told to stop."""
    command = [*engine.base, "exec", "-i", name, "python", "-u", "-"]
    asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert asking.stdin is not None
    assert asking.stdout is not None
    asking.stdin.write(sent(stream, key, TEXTS * 10))
    asking.stdin.close()
    asking.stdout.readline()
    time.sleep(3)
    begun = time.perf_counter()
    engine("kill", "--signal", "TERM", name)
    code, said = ended(engine, name)
    told: dict[str, Any] = json.loads(asking.stdout.read().splitlines()[-1]) if asking.stdout else {}
    return {
        **told,
        "exit_code": code,
        "stopped_s": round(time.perf_counter() - begun, 2),
        "said": said.splitlines(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--base", help="image to build on")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("podman"):
        raise SystemExit("Not measured: it takes root and podman (Debian: apt-get install podman runc mmdebstrap).")
    model = find_bundle(given.onnx).absolute()
    scores = load_engine(model).score(TEXTS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = Engine(folder)
        try:
            found = measure(engine, folder, model, scores, given.base)
        finally:
            engine("rm", "-af", "-t", "0", check=False)
            engine("rmi", "-af", check=False)
            engine("system", "reset", "-f", check=False)
    print(json.dumps(found, indent=2))
    write_json(given.out, found)


def measure(engine: Engine, folder: Path, model: Path, scores: np.ndarray, wanted: str | None) -> dict[str, Any]:
    load = round(os.getloadavg()[0] / (os.cpu_count() or 1), 1)
    base, words = find_base(engine, wanted, folder)
    begun = time.perf_counter()
    certificates = ["-v", "/etc/ssl/certs:/etc/ssl/certs:ro"]
    build = ["--format", "docker", "--isolation", "chroot", "--network", "host", "--no-cache", *certificates]
    engine("build", *build, "--build-arg", f"BASE={base}", "-t", "localhost/smallprint", ROOT)
    built = time.perf_counter() - begun
    keys = folder / "keys.txt"
    key = make_key("anna", keys)
    with container(engine, model, keys, name="unreadable") as one:
        unreadable, said = ended(engine, one)
    keys.chmod(0o644)
    with container(engine, model, keys, "--workers", "1", name="open") as one:
        without_keys, _ = ended(engine, one)
    page = "".join(f"<p>{text}</p>" for text in TEXTS).encode()
    files = {"terms.html": page, "terms.pdf": pdf(TEXTS), "terms.txt": "\n".join(TEXTS).encode()}
    files_sent = {each: base64.b64encode(body).decode() for each, body in files.items()}
    begun = time.perf_counter()
    with container(engine, model, keys) as one:
        engine.python(one, sent(answers, key, TEXTS[:1], {}))
        first = time.perf_counter() - begun
        told = engine.python(one, sent(answers, key, TEXTS, files_sent))
        inside = engine.python(one, sent(facts, list(ABSENT)))
        health = engine("healthcheck", "run", one, check=False).returncode
        ending = drained(engine, one, key)
    with container(engine, model, keys, "--keys", "/keys.txt", "--workers", "2", name="two") as one:
        of_two = engine.python(one, sent(answers, key, TEXTS, {}))
        ending_two = drained(engine, one, key)
    pins = {
        re.sub("[-_.]+", "-", line.split("==")[0]).lower(): line.split("==")[1].strip()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    packages = {re.sub("[-_.]+", "-", each): version for each, version in inside.pop("packages").items()}
    packages.pop("smallprint")
    labels = [each["labels"] for each in told["predictions"]]
    theirs = np.array([list(each["scores"].values()) for each in told["predictions"]])
    of_two_scores = np.array([list(each["scores"].values()) for each in of_two["predictions"]])
    whole = image_mb(engine, "localhost/smallprint")
    return {
        "base": words,
        "load_per_core": load,
        "size_mb": round(whole, 1),
        "added_mb": round(whole - image_mb(engine, base), 1),
        "under_limit": whole < LIMIT_MB,
        "build_s": round(built, 1),
        **inside,
        "unpinned": sorted(each for each, version in packages.items() if pins.get(each) != version),
        "first_answer_s": round(first, 2),
        "labels": labels,
        "largest_score_difference": float(np.abs(theirs - scores).max()),
        "largest_score_difference_two_workers": float(np.abs(of_two_scores - scores).max()),
        "findings": {
            each: [len(one["findings"]) for one in documents] for each, documents in told["documents"].items()
        },
        "without_a_key": told["stranger"],
        "health_check": health,
        "keys_that_it_may_not_read": {"exit_code": unreadable, "said": said},
        "started_without_keys": without_keys,
        "ended": ending,
        "ended_two_workers": ending_two,
    }


if __name__ == "__main__":
    main()
