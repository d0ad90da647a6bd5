import os
import signal
import subprocess
import sys
import time

import pytest

from smallprint.core.errors import TrainingError
from smallprint.training.launch import launch, started_from_outside

TELL = "import os; open(os.environ['OUT'] + os.environ['RANK'], 'w').write(os.environ['WORLD_SIZE'] + os.environ['OMP_NUM_THREADS'])"
SLEEP = (
    "import os, time; mine = os.environ['OUT'] + os.environ['RANK']; open(mine + 'new', 'w').write(str(os.getpid())); "
    "os.rename(mine + 'new', mine); REST"
)
FIRST = "[time.sleep(0.01) for _ in iter(lambda: os.path.exists(os.environ['OUT'] + '0'), True)]; "  # has begun
needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to ask with, or to be told of")
LONG = "time.sleep(600); open(os.environ['OUT'] + 'late', 'w')"


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("OUT", str(tmp_path / "out"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path / "out"


def told(out, n):
    return [out.with_name(f"out{rank}").read_text() for rank in range(n)]


def test_all_know_of_each_other(out):
    assert launch([sys.executable, "-c", TELL], 3, print) == 0
    threads = max(1, os.cpu_count() // 3)
    assert told(out, 3) == [f"3{threads}"] * 3


@needs_signals
def test_the_code_of_the_one_that_failed_and_the_others_are_ended(out):
    code = SLEEP.replace("REST", f"{FIRST} os.environ['RANK'] == '1' and exit(5); {LONG}")
    assert launch([sys.executable, "-c", code], 2, print) == 5
    assert not out.with_name("outlate").exists(), "nobody waited for the other one"
    with pytest.raises(ProcessLookupError):
        os.kill(int(told(out, 2)[0]), 0)


@needs_signals
def test_one_that_is_killed_is_told_and_the_others_are_ended(out):
    code = SLEEP.replace("REST", f"{FIRST} os.environ['RANK'] == '1' and os.kill(os.getpid(), 9); {LONG}")
    with pytest.raises(TrainingError, match="Process 2 of 2 was killed \\(signal 9\\); the others were ended"):
        launch([sys.executable, "-c", code], 2, print)
    with pytest.raises(ProcessLookupError):
        os.kill(int(told(out, 2)[0]), 0)


def test_one_that_does_not_listen_is_ended_all_the_same(out, monkeypatch):
    monkeypatch.setattr("smallprint.training.launch.GRACE_S", 0.5)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code = deaf + SLEEP.replace("REST", f"{FIRST} os.environ['RANK'] == '1' and exit(3); {LONG}")
    assert launch([sys.executable, "-c", code], 2, print) == 3
    assert not out.with_name("outlate").exists()


@needs_signals
def test_sigterm_ends_them_all(out):
    code = SLEEP.replace("REST", LONG)
    script = f"import sys; from smallprint.training.launch import launch; sys.exit(launch([sys.executable, '-c', {code!r}], 2, print))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while time.monotonic() < until and not all(out.with_name(f"out{rank}").exists() for rank in range(2)):
        time.sleep(0.05)
    pids = [int(part) for part in told(out, 2)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_who_started_it(monkeypatch):
    for name in ("RANK", "SLURM_NTASKS", "SLURM_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)
    assert not started_from_outside()
    monkeypatch.setenv("RANK", "0")
    assert started_from_outside()
    monkeypatch.delenv("RANK")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    assert started_from_outside()
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")
    assert not started_from_outside()
