"""Kept arrays come back as they were, or not at all."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from smallprint.core.kept import MB, Kept, cache_root, digest_of

ARRAYS = {"ids": np.arange(1000, dtype=np.int32), "vectors": np.ones((3, 4), dtype=np.float32)}


@pytest.fixture
def kept(tmp_path):
    return Kept(1, tmp_path / "kept")


def same(found):
    return found is not None and all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


def test_what_was_kept_comes_back_in_another_process(kept):
    assert kept.read("a") is None
    kept.write("a", ARRAYS)
    again = Kept(1, kept.folder)
    assert same(again.read("a"))
    assert again.read("a")["ids"].dtype == np.int32
    assert np.array_equal(again.read_one("a", "vectors"), ARRAYS["vectors"])
    assert again.read_one("a", "other") is None
    assert again.read("b") is None


def test_nobody_else_may_read_it(kept):
    kept.write("a", ARRAYS)
    assert kept.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("harm", ["cut", "empty", "flipped", "words", "other"])
def test_what_is_damaged_is_not_there_and_is_written_anew(kept, harm):
    kept.write("a", ARRAYS)
    path = kept.folder / "a.safetensors"
    raw = bytearray(path.read_bytes())
    if harm == "flipped":
        raw[-3] ^= 1
    path.write_bytes(
        {"cut": raw[:-9], "empty": b"", "flipped": bytes(raw), "words": b"no arrays here", "other": raw}[harm]
    )
    if harm == "other":  # sound, but not of ours
        from safetensors.numpy import save_file

        save_file(ARRAYS, path)
    assert kept.read("a") is None
    kept.write("a", ARRAYS)
    assert same(kept.read("a"))


def test_what_was_not_used_for_longest_goes_first(kept):
    big = {"x": np.zeros(300_000, dtype=np.uint8)}
    for n, key in enumerate("abc"):
        kept.write(key, big)
        os.utime(kept.folder / f"{key}.safetensors", (n, n))
    assert kept.read("a") is not None  # used just now
    kept.write("d", big)
    assert [key for key in "abcd" if kept.read(key) is not None] == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in kept.folder.iterdir()) <= MB
    assert kept.keys("") == ["d", "c", "a"] or set(kept.keys("")) == {"a", "c", "d"}
    kept.write("e", {"x": np.zeros(MB + 1, dtype=np.uint8)})
    assert kept.read("e") is None
    assert kept.read("d") is not None


def test_nothing_is_kept_or_read_where_it_is_turned_off(kept):
    kept.write("a", ARRAYS)
    off = Kept(0, kept.folder)
    off.write("b", ARRAYS)
    assert off.read("a") is None
    assert off.read_one("a", "ids") is None
    assert off.keys("") == []
    assert [path.name for path in kept.folder.iterdir()] == ["a.safetensors"]


def test_a_disk_that_refuses_fails_nothing(tmp_path):
    (tmp_path / "kept").write_text("a file where the folder would be")
    kept = Kept(1, tmp_path / "kept")
    kept.write("a", ARRAYS)
    assert kept.read("a") is None
    assert kept.keys("") == []


def test_a_full_disk_fails_nothing(kept):
    pytest.importorskip("resource")
    code = (
        "import resource, signal, sys, numpy as np; from pathlib import Path; from smallprint.core.kept import Kept\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "Kept(1, Path(sys.argv[1])).write('a', {'x': np.zeros(100_000, dtype=np.uint8)})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(kept.folder)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert list(kept.folder.iterdir()) == []


def test_a_folder_that_may_not_be_looked_into_fails_nothing(kept, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(kept.folder), "is_dir", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    assert kept.keys("") == []


def test_a_user_without_a_home_keeps_nothing(monkeypatch, tmp_path):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("SMALLPRINT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", homeless)
    monkeypatch.chdir(tmp_path)
    kept = Kept(1)
    kept.write("a", ARRAYS)
    assert kept.read("a") is None
    assert kept.keys("") == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_after_a_day(kept):
    kept.write("a", ARRAYS)
    old, new = kept.folder / ".b.safetensors.x.tmp", kept.folder / ".c.safetensors.x.tmp"
    inner = kept.folder / ".tmpa1B2c3"  # as safetensors calls its own
    for path in (old, new, inner):
        path.write_bytes(b"half")
    for path in (old, inner):
        os.utime(path, (1, 1))
    kept.write("d", ARRAYS)
    assert not old.exists()
    assert not inner.exists()
    assert new.exists()


def test_two_processes_at_once(kept):
    code = (
        "import sys, numpy as np; from pathlib import Path; from smallprint.core.kept import Kept\n"
        "kept, wrong = Kept(0.1, Path(sys.argv[1])), 0\n"
        "for n in range(60):\n"
        "    key = str(n % 5)\n"
        "    found = kept.read(key)\n"
        "    wrong += found is not None and not (found['x'] == int(key)).all()\n"
        "    kept.write(key, {'x': np.full(30_000, int(key), dtype=np.uint8)})\n"
        "print(wrong)\n"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(kept.folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in both:
        out, error = process.communicate(timeout=60)
        assert json.loads(out) == 0, error.decode()
    assert sum(path.stat().st_size for path in kept.folder.glob("*.safetensors")) <= 0.2 * MB


def test_keys_tell_parts_apart():
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("a") == digest_of(b"a") != digest_of("a", "")
    assert digest_of("\ud800")  # half of a character, as broken files have it


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("SMALLPRINT_CACHE", str(tmp_path / "own"))
    assert cache_root() == tmp_path / "own"
    monkeypatch.delenv("SMALLPRINT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "smallprint"
    assert Kept(1).folder == tmp_path / "smallprint" / "kept"
