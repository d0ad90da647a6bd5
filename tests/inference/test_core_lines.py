"""Lines that Ray's core writes past Python are left out; all others come through, in order."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from smallprint.inference.core_lines import without_idle_lines

WHERE = b"[2026-11-26 18:21:39,445 E 1 1] core_worker.cc:2465: "
IDLE = (
    WHERE
    + b"Actor with class name: 'M' and ID: '6' has constructor arguments in the object store and max_restarts > 0.\n"
)


def test_one_kind_of_line_is_left_out(capfd):
    with without_idle_lines():
        os.write(2, b"first\n" + IDLE)
        os.write(2, b"second\n")
        os.write(2, b"[E] core_worker.cc:1: the node died\nno end")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "first\nsecond\n[E] core_worker.cc:1: the node died\nno endafter\n"


def test_standard_error_comes_back_after_an_error(capfd):
    with pytest.raises(ValueError), without_idle_lines():  # noqa: PT011 - any
        raise ValueError
    os.write(2, IDLE)
    assert capfd.readouterr().err.encode() == IDLE


@pytest.mark.skipif(os.name == "nt", reason="a shell's way to close standard error")
def test_standard_error_that_is_closed_ends_nothing():
    code = """
import os, sys
from smallprint.inference.core_lines import without_idle_lines
with without_idle_lines():
    print("within")
    for stream in (sys.stderr,) if sys.stderr is not None else ():
        stream.close()
print("after")
"""
    for end in ("2>&-", ""):  # from the start, and by the program
        words = ["sh", "-c", f'exec "$0" -c "$1" {end}', sys.executable, code]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "within\nafter\n")


def test_a_reader_that_has_gone_keeps_nobody_waiting():
    kept, (read, write) = os.dup(2), os.pipe()
    os.dup2(write, 2)
    os.close(write)
    os.close(read)
    try:
        with without_idle_lines():
            for _ in range(50):  # more than a pipe holds
                os.write(2, b"line\n" * 2_000)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
