"""The lock under which aliases move: of many processes one at a time holds it, also where the one before died."""

import multiprocessing
import os
import time

import pytest
from mlflow.entities.model_registry import RegisteredModel

from smallprint.core.errors import BundleError
from smallprint.core.mlflow_store import open_client, quiet_mlflow
from smallprint.registry import history
from smallprint.registry.history import locked

ENTRY = "toys.smallprint-lock"


def leave_stale(client, age=None):
    since = 0.0 if age is None else time.time() - age
    client.create_registered_model(ENTRY, tags={"holder": "dead", "since": str(since)})


def names(client):
    return {entry.name for entry in client.search_registered_models()}


def test_a_lock_whose_holder_died_is_taken_over(store, monkeypatch):
    client = open_client(store)
    leave_stale(client)
    with locked(client, "toys"):
        monkeypatch.setattr("smallprint.registry.history.WAIT_SECONDS", 0.3)
        with pytest.raises(BundleError, match="Somebody else is promoting"), locked(client, "toys"):
            pass
    assert names(client) == set()  # the remains were of long ago


def test_who_comes_too_late_to_a_stale_lock_does_not_break_the_one_that_took_its_place(store, monkeypatch):
    client = open_client(store)
    leave_stale(client)
    monkeypatch.setattr("smallprint.registry.history.WAIT_SECONDS", 0.3)

    class Late:
        """Sees the stale lock, and is overtaken before it acts."""

        overtaken = False

        def __getattr__(self, name):
            return getattr(client, name)

        def get_registered_model(self, name):
            seen = client.get_registered_model(name)
            if not Late.overtaken:
                Late.overtaken = True
                client.rename_registered_model(ENTRY, f"{ENTRY}-dead")
                client.create_registered_model(ENTRY, tags={"holder": "other", "since": str(time.time())})
            return seen

    with pytest.raises(BundleError, match="Somebody else is promoting"), locked(Late(), "toys"):
        pass
    assert client.get_registered_model(ENTRY).tags["holder"] == "other"


def test_a_lock_that_is_given_back_while_it_is_looked_at_does_not_cost_the_next_holder_its_own(store, monkeypatch):
    client = open_client(store)
    client.create_registered_model(ENTRY, tags={"holder": "next", "since": str(time.time())})
    monkeypatch.setattr("smallprint.registry.history.WAIT_SECONDS", 0.3)

    class Between:
        """Sees the lock of one who gives it back before the store is asked for its tags."""

        def __getattr__(self, name):
            return getattr(client, name)

        def get_registered_model(self, name):
            return RegisteredModel(name, tags=[])

    with pytest.raises(BundleError, match="Somebody else is promoting"), locked(Between(), "toys"):
        pass
    assert names(client) == {ENTRY}


def test_a_lock_that_was_held_too_long_is_not_given_back_from_under_the_next(store, monkeypatch):
    client = open_client(store)
    with locked(client, "toys"):
        mine = client.get_registered_model(ENTRY).tags["holder"]
        client.rename_registered_model(ENTRY, f"{ENTRY}-{mine}")
        client.create_registered_model(ENTRY, tags={"holder": "next", "since": str(time.time())})
    assert client.get_registered_model(ENTRY).tags["holder"] == "next"
    client.delete_registered_model(ENTRY)
    monkeypatch.setattr("smallprint.registry.history.STALE_SECONDS", 0.0)
    with locked(client, "toys"):
        pass
    left = names(client) - {f"{ENTRY}-{mine}"}
    assert len(left) == 1  # who saw it as stale can no longer move the next one to that name
    assert left.pop().startswith(f"{ENTRY}-")


def work(uri, barrier, folder, turns):
    with quiet_mlflow():
        client = open_client(uri)
        barrier.wait(60)
        for _ in range(turns):
            with locked(client, "toys"):
                os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))  # fails where somebody else is inside
                done = int((folder / "done").read_text())
                time.sleep(0.02)
                (folder / "done").write_text(str(done + 1))
                (folder / "inside").unlink()


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_many_processes_that_wait_for_a_dead_holder_go_one_by_one(store, tmp_path, monkeypatch):
    monkeypatch.setattr(history, "WAIT_SECONDS", 100.0)
    (tmp_path / "done").write_text("0")
    fork, n, turns = multiprocessing.get_context("fork"), 8, 3
    first = fork.Process(
        # this process opens no file that others inherit; so old that it is stale, and not so old that its remains are swept up
        target=lambda: leave_stale(open_client(store), age=2 * history.STALE_SECONDS)
    )
    first.start()
    first.join(60)
    assert first.exitcode == 0
    barrier = fork.Barrier(n)
    several = [fork.Process(target=work, args=(store, barrier, tmp_path, turns)) for _ in range(n)]
    for process in several:
        process.start()
    for process in several:
        process.join(120)
    assert [process.exitcode for process in several] == [0] * n
    assert (tmp_path / "done").read_text() == str(n * turns)
