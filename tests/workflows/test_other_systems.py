"""What differs on Windows and macOS, played on Linux: see windows/sitecustomize.py for what is refused there."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from smallprint.documents import child
from smallprint.documents.document import Limits
from smallprint.serve.run import _bind
from smallprint.serve.settings import ServeSettings

PROGRAM = """
import json, sys
from smallprint.cli.app import main
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise SystemExit(f"{command} ended with {end.code}") from None
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="open files are read from /proc")
def test_the_whole_way_as_windows_would_have_it(tmp_path, labelled_frame, tiny_backbone):
    labelled_frame("multilabel", 120).write_parquet(tmp_path / "d.parquet")
    labelled_frame("multilabel", 20).select("text").write_csv(tmp_path / "new.csv")
    (tmp_path / "t.html").write_text("<p>You may leave – the scarlet leaf.</p>", encoding="utf-8")
    commands = [
        ["train", "d.parquet", "--backbone", "tfidf", "--out", "linear"],
        ["train", "d.parquet", "--backbone", str(tiny_backbone), "--epochs", "2", "--out", "encoder"],
        ["predict", "encoder", "new.csv", "-o", "out.csv"],
        ["scan", "linear", "t.html", "--format", "html", "-o", "t2.html"],
        ["report", "linear"],
        ["promote", "linear", "--as", "m"],
    ]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent / "windows"), *sys.path]),
        "WINDOWS_LOG": str(tmp_path / "log"),
        "PYTHONWARNDEFAULTENCODING": "1",
        "PYTHONWARNINGS": "default::EncodingWarning",
    }
    program = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    log = tmp_path / "log"
    assert (log.read_text(encoding="utf-8") if log.exists() else "") == ""
    assert done.returncode == 0, done.stderr[-3000:]
    ours = [line for line in done.stderr.splitlines() if "EncodingWarning" in line and f"smallprint{os.sep}" in line]
    assert [line for line in ours if "site-packages" not in line] == []
    assert {path.name for path in tmp_path.rglob("tracking.jsonl")} == set()
    assert json.loads((tmp_path / "linear" / "timings.json").read_text(encoding="utf-8"))["peak_memory_mb"] > 0


def test_what_is_printed_for_a_program_is_utf8_whatever_the_code_page():
    code = "from smallprint.cli.terminal import speak_utf8; speak_utf8(); print('\\xa7 \\u2192 \\xe4')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"}
    environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("§ → ä\n".encode(), 0)


@pytest.mark.parametrize("refused", [None, ValueError, OSError])
def test_macos_refuses_a_limit_and_reads_all_the_same(monkeypatch, refused):
    resource = pytest.importorskip("resource")
    asked = {}

    def setrlimit(kind, pair):
        if refused and kind == resource.RLIMIT_AS:
            raise refused("current limit exceeds maximum limit")
        asked[kind] = pair

    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    if refused:
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(refused):
            child._limit(Limits(seconds=30, memory_mb=100))
    monkeypatch.setattr(sys, "platform", "darwin")
    hard = {resource.RLIMIT_CPU: 2, resource.RLIMIT_CORE: 0}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (0, hard.get(kind, resource.RLIM_INFINITY)))
    child._limit(Limits(seconds=30, memory_mb=100))
    expected = {resource.RLIMIT_CPU: (2, 2), resource.RLIMIT_CORE: (0, 0)}
    assert asked == expected | ({} if refused else {resource.RLIMIT_AS: (100_000_000, 100_000_000)})


def test_no_other_program_shares_the_port_on_windows(monkeypatch, loopback):
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_KEEPALIVE, raising=False)
    bound = _bind(ServeSettings((("m", "f"),), port=0))
    with bound:
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
        assert bound.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
