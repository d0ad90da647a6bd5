"""A server under load, beside one request at a time and beside a FastAPI app around a transformers pipeline. Writes
benchmarks/results/serve.json and docs/serve.md's table.

    python benchmarks/serve.py ONNX RUN [--seconds 60] [--clients 200] [--requests 100000] [--render]

ONNX is an exported bundle, RUN the run that it came from: its encoder is what the pipeline runs. The load comes from wrk (Debian: apt-get
install wrk) on the same machine, test clauses of UNFAIR-ToS (SMALLPRINT_DATA), one a request. Where LitServe is
installed, the same bundle is measured behind it. Throughput is closed (each client asks again at once): a single client and 32 take turns,
seven rounds, and of each the median round counts. The load of 200 clients has each wait between its requests, so that the offered rate is
below and then above the capacity that was measured before. Memory is the resident size of server and workers, after 2,000 requests and at
the end, with four-word texts, so that there are many.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from readme import ROOT, write_section
from smallprint.core.files import write_json
from smallprint.inference.engine import Engine, load_engine
from smallprint.packaging.bundle import find_bundle

DATA = Path(os.environ.get("SMALLPRINT_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results" / "serve.json"
ROUNDS = 7
LUA = """
local bodies = {%s}
local n, wait, kinds = 0, %d, {}
function setup(thread) thread:set("seen", "") end
function init(args) math.randomseed(7) end
function request()
  n = n + 1
  return wrk.format("POST", "/v1/predict", {["Content-Type"] = "application/json"}, bodies[(n %% #bodies) + 1])
end
function response(status) kinds[status] = (kinds[status] or 0) + 1
  local told = "" for code, count in pairs(kinds) do told = told .. code .. ":" .. count .. " " end
  seen = told end
if wait > 0 then function delay() return math.random(wait // 2, wait + wait // 2) end end
local threads = {}
function done(summary, latency)
  io.write(string.format("\\nCOUNT %%d\\nDURATION %%d\\nP50 %%d\\nP99 %%d\\nMAX %%d\\nERRORS %%d %%d %%d %%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max, summary.errors.connect,
    summary.errors.read, summary.errors.write,     summary.errors.timeout))
end
"""


def load(port: int, texts: list[str], clients: int, seconds: int, wait_ms: int = 0) -> dict[str, Any]:
    """Gives requests a second, latencies and errors of so many clients for so long."""
    bodies = ", ".join("[==[" + json.dumps({"texts": [text]}) + "]==]" for text in texts if "]==]" not in text)
    with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as file:
        file.write((LUA % (bodies, wait_ms)).replace("wait // 2", "math.floor(wait / 2)"))
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", file.name]
    told = subprocess.run([*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    Path(file.name).unlink()
    found = {name: int(value) for name, value in re.findall(r"^(COUNT|DURATION|P50|P99|MAX) (\d+)", told, re.M)}
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    errors = [int(part) for part in re.search(r"^ERRORS (.*)$", told, re.M).group(1).split()]  # type: ignore[union-attr]
    return {
        "clients": clients,
        "wait_ms": wait_ms,
        "requests": found["COUNT"],
        "a_second": round(found["COUNT"] / found["DURATION"] * 1e6, 1),
        "p50_ms": found["P50"] / 1000,
        "p99_ms": found["P99"] / 1000,
        "not_2xx": int(refused.group(1)) if refused else 0,
        "broken": sum(errors),
    }


def in_turns(port: int, texts: list[str], seconds: int, kind: str = "") -> dict[str, Any]:
    """Gives one client's load and 32 clients', in turns: the median round of each, by requests a second, and the ratio of each round."""
    load(port, texts, 8, 3)
    rounds = [[load(port, texts, clients, seconds) for clients in (1, 32)] for _ in range(ROUNDS)]
    middle = [sorted(of, key=lambda row: row["a_second"])[ROUNDS // 2] for of in zip(*rounds, strict=True)]
    times = [round(many["a_second"] / one["a_second"], 2) for one, many in rounds]
    return {f"{kind}one at a time": middle[0], f"{kind}32 clients": middle[1], f"{kind}times, by round": times}


def ask(port: int, text: str, seconds: float = 60) -> dict[str, Any]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    link.request("POST", "/v1/predict", json.dumps({"texts": [text]}), {"Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(link.getresponse().read())
    link.close()
    return answer


def ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Waits until a server is ready.

    Raises:
        SystemExit: It has ended, or two minutes have passed.
    """
    until = time.perf_counter() + 120
    while process.poll() is None and time.perf_counter() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            link.request("GET", "/ready")
            if link.getresponse().status == 200:
                return
        time.sleep(0.01)
    raise SystemExit("The server is not ready.")


@contextlib.contextmanager
def server(command: list[str], port: int, **environment: str) -> Iterator[tuple[int, float]]:
    """Starts a server, and gives its process number and the seconds until it was ready."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            try:
                ready(process, port)
            except SystemExit:
                log.seek(0)
                raise SystemExit(log.read().decode()[-2000:]) from None
            yield process.pid, time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(60)
            with contextlib.suppress(ProcessLookupError):  # LitServe leaves workers behind, which poll
                os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def resident_mb(pid: int) -> float:
    """Gives the resident size of a process and its children, in MB."""
    pids = [pid, *(int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in pids)
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def serve_command(bundle: str, port: int) -> list[str]:
    return [sys.executable, "-m", "smallprint", "serve", bundle, "--port", str(port)]


def first_answer(bundle: str, text: str, want: list[str]) -> float:
    """Gives seconds from starting the process to its first right answer, the median of five."""
    spent = []
    for _ in range(5):
        port, start = free_port(), time.perf_counter()
        with server(serve_command(bundle, port), port):
            found = ask(port, text)["predictions"][0]["labels"]
            spent.append(time.perf_counter() - start)
            if found != want:
                raise SystemExit(f"The first answer is {found}, not {want}.")
    return statistics.median(spent)


def workers_back(bundle: str, text: str, want: list[str]) -> float:
    """Gives seconds from killing both of two workers, with clients asking, to the next right answer."""
    port = free_port()
    with server([*serve_command(bundle, port), "--workers", "2"], port) as (pid, _):
        while True:
            listed = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            workers = [one for one in listed if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
            if len(workers) == 2:
                break
            time.sleep(0.1)
        ask(port, text)
        start = time.perf_counter()
        for one in workers:
            os.kill(one, signal.SIGKILL)
        while time.perf_counter() - start < 60:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ask(port, text, 5)["predictions"][0]["labels"] != want:
                    raise SystemExit("A wrong answer.")
                return time.perf_counter() - start
    raise SystemExit("The workers did not come back.")


def equal_answers(port: int, engine: Engine, texts: list[str]) -> dict[str, Any]:
    """Asks for texts by 32 clients at once, and compares with each text scored alone by the engine."""
    with ThreadPoolExecutor(32) as pool:
        answers = [found["predictions"][0] for found in pool.map(lambda text: ask(port, text), texts)]
    apart, same = 0.0, 0
    for text, answer in zip(texts, answers, strict=True):
        alone = engine.predict([text])
        scores = np.array([answer["scores"][name] for name in alone.label_names])
        apart = max(apart, float(np.abs(scores - alone.scores[0]).max()))
        same += set(answer["labels"]) == {str(name) for name in np.atleast_1d(alone.labels[0])}
    return {"n": len(texts), "same_labels": same, "largest_score_difference": apart}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", nargs="?")
    parser.add_argument("run", nargs="?")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--requests", type=int, default=100_000, help="of the memory part")
    parser.add_argument("--render", action="store_true")
    given = parser.parse_args()
    if not given.render:
        write_json(RESULTS, measure(given))
    render(json.loads(RESULTS.read_text(encoding="utf-8")))


def measure(given: argparse.Namespace) -> dict[str, Any]:
    texts = pl.read_parquet(DATA / "unfair_tos" / "test.parquet").sample(400, seed=7)["text"].to_list()
    engine = load_engine(find_bundle(given.onnx))
    want = [str(name) for name in np.atleast_1d(engine.predict(texts[:1]).labels[0])]
    found: dict[str, Any] = {"first_right_answer_s": first_answer(given.onnx, texts[0], want)}
    found["killed_workers_back_s"] = workers_back(given.onnx, texts[0], want)
    print(found, flush=True)
    port, short = free_port(), max(3, given.seconds // 20)
    with server(serve_command(given.onnx, port), port) as (pid, _):
        found |= in_turns(port, texts, short)
        capacity = found["32 clients"]["a_second"]
        for share in (0.7, 2.0):
            wait = max(1, int(1000 * given.clients / (capacity * share)))
            name = f"{given.clients} clients that pause, asking for {share:g} of what one load of 32 got"
            found[name] = load(port, texts, given.clients, given.seconds, wait)
            print(name, found[name], flush=True)
        found["answers"] = equal_answers(port, engine, texts[:200])
        words = [" ".join(text.split()[:4]) for text in texts]
        load(port, words, 16, 5)
        before, count = resident_mb(pid), 0
        while count < given.requests:
            count += load(port, words, 32, 60)["requests"]
            print("memory", count, round(resident_mb(pid) - before, 1), flush=True)
        found["memory"] = {"requests": count, "before_mb": before, "growth_mb": resident_mb(pid) - before}
    with tempfile.TemporaryDirectory() as folder:
        save_pipeline(given.run, folder)
        port = free_port()
        app = ["-m", "uvicorn", "--app-dir", str(ROOT / "benchmarks"), "peers.pipeline_app:app", "--port", str(port)]
        with server([sys.executable, *app, "--log-level", "warning"], port, PIPELINE_MODEL=folder):
            found |= in_turns(port, texts, short, "pipeline, ")
    if importlib.util.find_spec("litserve"):
        port = free_port()
        peer = [sys.executable, str(ROOT / "benchmarks" / "peers" / "litserve_app.py"), str(port)]
        with server(peer, port, ONNX_MODEL=given.onnx):
            found |= in_turns(port, texts, short, "LitServe, ")
    print(json.dumps(found, indent=1))
    return found


def save_pipeline(run: str, folder: str) -> None:
    """Writes the run's encoder with a classifier of its own: the same work, other answers."""
    from transformers import AutoModelForSequenceClassification

    scorer: Any = load_engine(find_bundle(run)).scorer
    config = scorer.classifier.backbone.config
    config.num_labels, config.problem_type = 8, "multi_label_classification"
    model = AutoModelForSequenceClassification.from_config(config)
    model.base_model.load_state_dict(scorer.classifier.backbone.state_dict(), strict=False)
    model.save_pretrained(folder)
    scorer.tokenizer.save_pretrained(folder)


def render(found: dict[str, Any]) -> None:
    base = found["32 clients"]["a_second"]
    lines = ["| | requests a second | p50 | p99 | refused | broken |", "|---|---|---|---|---|---|"]
    for name, row in found.items():
        if isinstance(row, dict) and "a_second" in row:
            times = f"{row['p50_ms']:.0f} ms | {row['p99_ms']:.0f} ms"
            lines.append(f"| {name} | {row['a_second']:.0f} | {times} | {row['not_2xx']:,} | {row['broken']} |")
    peer, rounds = found["pipeline, 32 clients"]["a_second"], found["times, by round"]
    memory, answers = found["memory"], found["answers"]
    lines += [
        "",
        f"Many at once against one at a time: {statistics.median(rounds):.2f} times (median of {len(rounds)} rounds in turns, "
        f"{min(rounds):.1f} to {max(rounds):.1f}); against the pipeline's app: {base / peer:.1f} times. "
        f"Process start to the first right answer: {found['first_right_answer_s']:.1f} s; "
        "both of two workers killed, to the next right answer: "
        f"{found['killed_workers_back_s']:.1f} s. Memory after {memory['requests']:,} requests: "
        f"{memory['growth_mb']:+.0f} MB on {memory['before_mb']:.0f}. Of {answers['n']} answers under load "
        f"{answers['same_labels']} have the labels of the text alone; scores differ by at most {answers['largest_score_difference']:.1e}.",
    ]
    write_section("serve", "\n".join(lines), ROOT / "docs" / "serve.md")


if __name__ == "__main__":
    main()
