"""Processes that end together: one of them does the rest, and never none."""

from threading import Thread
from unittest.mock import Mock

import pytest

from smallprint.core.errors import ConfigError
from smallprint.sweep import processes, workers
from smallprint.sweep.loop import Budget

needs_locks = pytest.mark.skipif(workers.fcntl is None, reason="no file locks here")


@needs_locks
def test_of_two_that_end_at_the_same_moment_one_is_the_last(tmp_path):
    told, second = {}, []

    def end_second():
        with workers.last(tmp_path, "end", lambda: False) as ours:
            told["second"] = ours

    def busy():  # the first looks while the second is still at its trial, which ends now
        second.append(Thread(target=end_second))
        second[0].start()
        second[0].join(0.3)  # it has to wait until the first has gone
        return True

    with workers.last(tmp_path, "end", busy) as ours:
        told["first"] = ours
        second[0].join(10)
    assert told == {"first": False, "second": True}


@needs_locks
def test_while_one_is_at_it_another_is_not(tmp_path):
    with workers.last(tmp_path, "end", lambda: False) as ours, workers.last(tmp_path, "end", lambda: False) as also:
        assert (ours, also) == (True, False)
    with workers.last(tmp_path, "end", lambda: False) as again:
        assert again


def test_a_system_without_locks_is_told_so(monkeypatch):
    monkeypatch.setattr(workers, "fcntl", None)
    with pytest.raises(ConfigError, match="no file locks"):
        workers.check_locks()


def test_other_processes_import_nothing_from_the_present_folder(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(processes.subprocess, "Popen", lambda command, env: started.append(command) or Mock())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with processes.helped("sample", tmp_path, Budget(trials=1), 2):
        pass
    assert [command[1] for command in started] == ["-P"]
