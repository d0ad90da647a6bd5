"""What waits to be logged outlives the process, and a lock tells the living from the dead."""

import subprocess
import sys

import pytest

from smallprint.training.journal import FILE, Journal, is_alive, take_over

HOLD = """
import pathlib, sys, time
from smallprint.training.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
journal.add({"run": "", "kind": "tags"})
print("ready", flush=True)
time.sleep(60)
"""


def test_what_was_not_sent_is_there_again(tmp_path):
    journal = Journal(tmp_path)
    for number in range(3):
        journal.add({"run": "", "kind": "tags", "number": number})
    journal.drop(1)
    journal.close()
    assert [entry["number"] for entry in Journal(tmp_path).waiting] == [1, 2]


def test_when_all_is_sent_no_file_is_left(tmp_path):
    journal = Journal(tmp_path)
    journal.add({"run": "", "kind": "tags"})
    journal.drop(1)
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_a_kill_has_cut_is_left_out(tmp_path):
    (tmp_path / FILE).write_text('{"run": "", "kind": "tags"}\n{"run": "", "ki')
    journal = Journal(tmp_path)
    assert journal.waiting == [{"run": "", "kind": "tags"}]
    journal.add({"run": "", "kind": "end"})
    del journal  # killed again
    assert Journal(tmp_path).waiting == [{"run": "", "kind": "tags"}, {"run": "", "kind": "end"}]


def test_a_folder_that_is_not_there_keeps_entries_in_memory(tmp_path):
    journal = Journal(tmp_path / "nowhere")
    journal.add({"run": "", "kind": "tags"})
    assert not journal.on_disk
    assert len(journal.waiting) == 1


def test_the_journal_of_a_run_that_goes_on_is_not_taken_over(tmp_path):
    pytest.importorskip("fcntl")
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        assert is_alive(tmp_path)
        assert take_over(tmp_path) is None
        assert not Journal(tmp_path).on_disk
    finally:
        process.kill()
        process.wait()
    assert not is_alive(tmp_path)
    assert take_over(tmp_path).waiting == [{"run": "", "kind": "tags"}]


def test_where_there_is_no_journal_there_is_nothing_to_take_over(tmp_path):
    assert take_over(tmp_path) is None
    assert not is_alive(tmp_path)
