"""Two real processes over gloo fit the toy: what each saw, and that together they did what one does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smallprint.training import processes
from smallprint.training.callbacks import BEST
from smallprint.training.checkpoint_io import SafetensorsIO

SCRIPT = Path(__file__).with_name("one_of_many.py")


def fit_in(count, folder, **training):
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)} if count > 1 else {}
        for rank in range(count)
    ]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder), json.dumps(training)],
            env={**os.environ, **shared, **variables},
            stderr=subprocess.PIPE,
            text=True,
        )
        for variables in own
    ]
    for process in started:
        _, noise = process.communicate(timeout=100)
        assert process.returncode == 0, noise
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return fit_in(2, folder), folder


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    return fit_in(1, folder, accumulate=2)[0], folder


def test_each_example_once_an_epoch_and_as_many_steps(two, toy):
    ranks, _ = two
    for epoch in ("0", "1", "2"):
        batches = [rank["seen"][epoch] for rank in ranks]
        assert len(batches[0]) == len(batches[1])
        seen = sorted(i for part in batches for batch in part for i in batch if i >= 0)
        assert seen == list(range(60))
    rounds = -(-toy.data(toy.config()).batches_per_epoch // 2)
    assert [rank["steps"] for rank in ranks] == [3 * rounds] * 2


def test_all_decide_alike_and_average_alike(two):
    first, second = two[0]
    for name in ("history", "best_epoch", "steps", "average"):
        assert first[name] == second[name], name


def test_two_do_what_one_does_with_two_batches_a_step(two, one):
    (ranks, folder), (alone, place) = two, one
    assert alone["steps"] == ranks[0]["steps"]
    for ours, theirs in zip(alone["history"], ranks[0]["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    weights = [SafetensorsIO().load_checkpoint(part / "checkpoints" / BEST)["state_dict"] for part in (place, folder)]
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        np.testing.assert_allclose(value, weights[1][name], atol=1e-5)


def test_a_checkpoint_of_two_is_read_by_one_and_the_reverse(two, one):
    (ranks, folder), (alone, place) = two, one
    again = fit_in(1, folder)
    assert again[0]["history"] == ranks[0]["history"]
    assert again[0]["seen"] == {}, "nothing is trained again"
    again = fit_in(2, place, accumulate=2)
    assert again[1]["history"] == alone["history"]
    assert again[1]["seen"] == {}


def test_alone_nothing_is_asked_of_others():
    import torch

    assert (processes.world_size(), processes.rank(), processes.is_first()) == (1, 0, True)
    assert processes.first_says(True) is True
    assert processes.first_says(False) is False
    values = torch.arange(3.0)
    assert processes.add_up(values) is values
    assert not processes.lost(RuntimeError("Connection closed by peer"))
    processes.join()
    processes.wait()
    processes.leave()
