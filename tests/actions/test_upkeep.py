"""Looking after an outbox: what it tells, what it tries again, what it forgets, and when it is refused."""

import json
import sqlite3
import subprocess
import sys
import time

import pytest

from smallprint.actions import outbox as module
from smallprint.actions.outbox import Outbox, key_of
from smallprint.actions.upkeep import clear, read_status, retry, tell_seconds, tell_status
from smallprint.cli.app import main
from smallprint.core.errors import DataError

DAY = 86_400.0
FINDINGS = [
    {"document": "d", "row": i, "label": "a", "score": 0.5, "heading": f"Head {i}", "text": f"quoted words {i}"}
    for i in range(5)
]


def keyed(rule, findings=FINDINGS):
    return [(key_of(rule, "m", finding), finding) for finding in findings]


@pytest.fixture
def clock(monkeypatch):
    """The clock, set to three days ago."""
    now = [time.time() - 3 * DAY]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    return now


@pytest.fixture
def file(tmp_path, clock):
    """Two delivered three days ago, one dead since then; two wait, of which one came in now; another action has one."""
    box = Outbox(tmp_path / "out.csv.outbox.sqlite")
    box.add("hook", keyed("hook", FINDINGS[:4]))
    for _ in range(2):
        box.done(box.due())
    box.failed(box.due(), "ValueError: what is 'quoted words 2' below Head 2?", None)
    clock[0] += 3 * DAY
    box.add("hook", keyed("hook"))
    box.add("file", keyed("file", FINDINGS[:1]))
    box.close()
    return tmp_path / "out.csv.outbox.sqlite"


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["actions", *map(str, words)])
    return ended.value.code or 0


def test_status(file, capsys):
    assert run("status", file, "--json") == 0
    out = capsys.readouterr().out
    told = json.loads(out)
    assert (told["waiting"], told["delivered"], told["dead"]) == (3, 2, 1)
    assert told["oldest_waiting_s"] == told["actions"]["hook"]["oldest_waiting_s"] == pytest.approx(3 * DAY, abs=60)
    assert told["actions"]["file"] == {
        "waiting": 1, "delivered": 0, "dead": 0, "failed_tries": 0, "oldest_waiting_s": pytest.approx(0, abs=60),
    }  # fmt: skip
    [letter] = told["dead_letters"]
    assert letter["finding"] == {"document": "d", "row": 2, "label": "a", "score": 0.5}
    assert letter["told"] == "ValueError: what is '[text]' below [heading]?"
    assert letter["tries"] == 1
    assert "quoted words" not in out
    assert read_status(file, ["file"])["dead_letters"] == []


def test_status_in_lines_and_with_texts(file, capsys):
    assert run("status", file) == 0
    out = capsys.readouterr().out
    assert "hook" in out
    assert "3 days" in out
    assert "d:2  a  given up" in out
    assert "quoted words" not in out
    assert run("status", file, "--texts") == 0
    assert "    quoted words 2\n" in capsys.readouterr().out
    many = read_status(file) | {"dead_letters": read_status(file)["dead_letters"] * 30}
    assert tell_status(many)[-1] == "  and 10 more; --json gives them all."


@pytest.mark.parametrize("quote", [str, repr, json.dumps, lambda text: json.dumps(text, ensure_ascii=False)])
def test_a_text_is_not_shown_however_an_error_quotes_it(tmp_path, quote):
    text = 'It\'s "über"\nall'
    box = Outbox(tmp_path / "box")
    box.add("hook", keyed("hook", [{"document": "d", "row": 1, "label": "a", "text": text}]))
    box.failed(box.due(), f"ValueError: cannot take {quote(text)} today", None)
    box.close()
    told = read_status(tmp_path / "box")["dead_letters"][0]["told"]
    assert told.replace("'", "").replace('"', "") == "ValueError: cannot take [text] today"


def test_retry(file, capsys):
    assert run("retry", file, "--action", "file") == 0
    assert "no dead letters" in capsys.readouterr().err
    assert run("retry", file, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"retried": 1}
    told = read_status(file)
    assert (told["waiting"], told["dead"], told["actions"]["hook"]["failed_tries"]) == (4, 0, 0)
    box = Outbox(file)
    assert (box.due().body["row"], box.due().tries) == (2, 0)
    box.close()


def test_clear_forgets_what_is_old_and_delivered_alone(file, capsys):
    assert run("clear", file, "--older-than", "3.5") == 0
    assert "Nothing was delivered 3.5 days ago or before" in capsys.readouterr().err
    assert run("clear", file) == 2, "how old is never guessed"
    assert clear(file, 2, ["file"]) == 0
    assert run("clear", file, "--older-than", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"forgotten": 2}
    told = read_status(file)
    assert (told["waiting"], told["delivered"], told["dead"]) == (3, 0, 1)
    box = Outbox(file)
    assert box.add("hook", keyed("hook")) == 2, "what was forgotten is new again; what waits or was given up is not"
    box.close()
    assert clear(file, 2, dead=True) == 1


def test_clear_makes_the_file_smaller(tmp_path, clock):
    file = tmp_path / "box"
    box = Outbox(file)
    box.add("hook", keyed("hook", [{"document": str(i), "row": i, "text": "x" * 200} for i in range(200)]))
    while (delivery := box.due()) is not None:
        box.done(delivery)
    box.close()
    clock[0] += 3 * DAY
    before = file.stat().st_size
    assert clear(file, 1) == 200
    assert file.stat().st_size < before / 4
    assert b"xxxx" not in file.read_bytes()
    assert tell_status(read_status(file)) == ["It is empty."]


def test_an_outbox_of_an_earlier_release_counts_from_when_it_was_opened(tmp_path):
    file = tmp_path / "box"
    base = sqlite3.connect(file)
    base.execute(module.TABLE.replace(",\n  since real not null default 0", ""))
    rows = [("k1", "delivered"), ("k2", "waiting")]
    base.executemany("insert into deliveries (key, rule, document, body, state) values (?, 'r', 'd', '{}', ?)", rows)
    base.commit()
    base.close()
    assert read_status(file)["oldest_waiting_s"] < 60
    assert clear(file, 1) == 0
    assert clear(file, 0) == 1
    assert retry(file) == 0


def test_refused_while_another_process_delivers(file, monkeypatch):
    for name in ("outbox", "upkeep"):
        monkeypatch.setattr(f"smallprint.actions.{name}.WAIT_S", 0.2)
    code = (
        "import sys; from smallprint.actions.outbox import Outbox; box = Outbox(sys.argv[1], sys.argv[2] == 'shared'); "
        "box.counts(); print(1, flush=True); input()"
    )
    for how, status_too in (("alone", False), ("shared", True)):
        other = subprocess.Popen(
            [sys.executable, "-c", code, file, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert other.stdout.readline() == "1\n"
            for work in (lambda: retry(file), lambda: clear(file, 0)):
                with pytest.raises(DataError, match="cannot be opened") as refused:
                    work()
                assert "--outbox" not in str(refused.value), "these commands have no such option"
            if status_too:
                assert read_status(file)["dead"] == 1
            else:
                with pytest.raises(DataError, match="cannot be opened"):
                    read_status(file)
        finally:
            other.communicate("\n")
    assert retry(file) == 1


def test_nothing_else_is_made_into_one(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        read_status(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "rules.yaml").write_text("- name: hook\n" * 200)
    with pytest.raises(DataError, match="is no outbox"):
        retry(tmp_path / "rules.yaml")
    base = sqlite3.connect(tmp_path / "other.db")
    base.execute("create table trials (id integer)")
    base.close()
    before = (tmp_path / "other.db").read_bytes()
    with pytest.raises(DataError, match="is no outbox"):
        clear(tmp_path / "other.db", 1)
    assert (tmp_path / "other.db").read_bytes() == before


def test_an_action_that_is_not_there(file):
    with pytest.raises(DataError, match="one of file, hook"):
        clear(file, 1, ["hok"])


def test_tell_seconds():
    assert [tell_seconds(s) for s in (1, 59, 61, 7200, 2.5 * DAY)] == [
        "1 second", "59 seconds", "1 minute", "2 hours", "2 days",
    ]  # fmt: skip
