import subprocess
import sys

import pytest

from smallprint.actions.outbox import Outbox, hold, key_of
from smallprint.core.errors import DataError

FINDINGS = [{"document": d, "row": i, "label": "a", "text": f"t{i}"} for d in ("one", "two") for i in range(3)]


@pytest.fixture
def outbox(tmp_path):
    box = Outbox(tmp_path / "outbox.sqlite")
    yield box
    box.close()


def keyed(rule="r", model="m"):
    return [(key_of(rule, model, finding), finding) for finding in FINDINGS]


def test_a_key_goes_in_once(outbox):
    assert outbox.add("r", keyed()) == 6
    assert outbox.add("r", keyed()) == 0
    assert outbox.add("r", keyed(model="other")) == 6
    assert outbox.counts() == {"waiting": 12, "delivered": 0, "dead": 0}


def test_in_order_within_a_document_and_others_go_on(outbox):
    outbox.add("r", keyed())
    first = outbox.due()
    assert (first.document, first.body["row"]) == ("one", 0)
    outbox.failed(first, "away", 60.0)
    second = outbox.due()
    assert (second.document, second.body["row"]) == ("two", 0), "what stands behind the failed one waits"
    outbox.done(second)
    assert outbox.due().body == FINDINGS[4]


def test_dead_letters_let_the_rest_pass_and_can_be_revived(outbox):
    outbox.add("r", keyed())
    outbox.failed(outbox.due(), "HTTP 400", None)
    assert outbox.due().body == FINDINGS[1]
    [(dead, told, _)] = list(outbox.dead())
    assert (dead.body, told) == (FINDINGS[0], "HTTP 400")
    assert outbox.revive() == 1
    assert outbox.due().body == FINDINGS[0]
    assert outbox.due().tries == 0


def test_next_due(outbox):
    assert outbox.next_due() is None
    outbox.add("r", keyed()[:1])
    assert outbox.next_due() == 0
    outbox.failed(outbox.due(), "away", 60.0)
    assert 55 < outbox.next_due() <= 60
    assert outbox.due() is None


def test_keys_tell_place_label_text_model_and_rule_apart():
    base = {"document": "d", "start": 1, "end": 5, "label": "a", "text": "t", "score": 0.5}
    keys = {key_of("r", "m", base), key_of("q", "m", base), key_of("r", "n", base)}
    keys |= {key_of("r", "m", base | {name: "x"}) for name in ("document", "start", "end", "label", "text")}
    assert len(keys) == 8
    assert key_of("r", "m", base | {"score": 0.7}) == key_of("r", "m", base)


def test_two_processes_do_not_deliver_from_one_file(outbox):
    code = "import sys; from smallprint.actions.outbox import Outbox; Outbox(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(outbox.file)], capture_output=True, text=True)
    assert "that no other process works on" in done.stderr


def test_what_is_no_outbox(tmp_path):
    (tmp_path / "box").write_text("something else, and long enough to be no header of a data base" * 20)
    with pytest.raises(DataError, match="cannot be opened"):
        Outbox(tmp_path / "box")


def open_elsewhere(file, shared):
    code = "import sys; from smallprint.actions.outbox import Outbox; print(Outbox(sys.argv[1], shared=sys.argv[2] == 'True').counts())"
    return subprocess.run([sys.executable, "-c", code, str(file), str(shared)], capture_output=True, text=True)


def test_who_shares_an_outbox_and_who_has_it_alone(tmp_path):
    shared = Outbox(tmp_path / "box", shared=True)
    shared.add("r", keyed())
    assert "'waiting': 6" in open_elsewhere(tmp_path / "box", True).stdout
    assert "that no other process works on" in open_elsewhere(tmp_path / "box", False).stderr
    shared.close()
    alone = Outbox(tmp_path / "box")
    assert "that no other process works on" in open_elsewhere(tmp_path / "box", True).stderr
    assert alone.counts()["waiting"] == 6


def test_one_process_has_the_right_to_deliver(tmp_path):
    right = hold(tmp_path / "box")
    code = "import sys; from smallprint.actions.outbox import hold; hold(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "box")]
    assert "that no other process works on" in subprocess.run(command, capture_output=True, text=True).stderr
    right.close()
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0


def test_what_is_left_of_a_removed_action_stands_in_nobodys_way(outbox):
    outbox.add("gone", keyed("gone"))
    outbox.add("r", keyed())
    assert outbox.due(["r"]).rule == "r"
    assert outbox.next_due(["other"]) is None
    assert outbox.waiting() == 12
    outbox.failed(outbox.due(["r"]), "away", None)
    assert outbox.tally() == {("gone", "waiting"): (6, 0), ("r", "waiting"): (5, 0), ("r", "dead"): (1, 1)}


def test_what_fails_to_go_in_leaves_the_outbox_usable(outbox):
    with pytest.raises(TypeError):
        outbox.add("r", [*keyed()[:2], ("k", {"document": {1, 2}})])
    assert outbox.counts()["waiting"] == 0
    assert outbox.add("r", keyed()) == 6
