import time

from smallprint.training.clock import REST, FitClock


def test_nested_parts_are_told_apart_and_add_up():
    clock, start = FitClock(), time.perf_counter()
    with clock.profile("run_training_epoch"):
        time.sleep(0.02)
        with clock.profile("[LightningModule]ClassifierModule.optimizer_step"):
            time.sleep(0.01)
            with clock.profile("[Strategy]SingleDeviceStrategy.training_step"):
                time.sleep(0.03)
            with clock.profile("[Strategy]SingleDeviceStrategy.backward"):
                time.sleep(0.04)
    whole, seconds = time.perf_counter() - start, clock.seconds()
    assert list(seconds) == ["backward", "forward and loss", REST, "optimizer"]
    assert abs(sum(seconds.values()) - whole) < 0.01


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
