import pytest

from smallprint.training import clock as clocks
from smallprint.training.clock import REST, FitClock


def test_nested_parts_are_told_apart_and_add_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: now[0])
    clock = FitClock()
    with clock.profile("run_training_epoch"):
        now[0] += 2
        with clock.profile("[LightningModule]ClassifierModule.optimizer_step"):
            now[0] += 1
            with clock.profile("[Strategy]SingleDeviceStrategy.training_step"):
                now[0] += 3
            with clock.profile("[Strategy]SingleDeviceStrategy.backward"):
                now[0] += 4
    seconds = clock.seconds()
    assert list(seconds) == ["backward", "forward and loss", REST, "optimizer"]
    assert list(seconds.values()) == pytest.approx([4, 3, 2, 1])


def test_what_was_begun_and_broke_off_is_no_matter():
    clock = FitClock()
    clock.start("run_training_epoch")
    clock.start("[Strategy]SingleDeviceStrategy.backward")
    clock.stop("run_training_epoch")
    clock.stop("never begun")
    assert set(clock.seconds()) <= {"backward", REST}


def test_a_fit_says_where_its_time_went(toy, tmp_path):
    result, _ = toy.fit(tmp_path)
    assert {"forward and loss", "backward", "optimizer", "validation", "checkpoints"} <= set(result.parts)
