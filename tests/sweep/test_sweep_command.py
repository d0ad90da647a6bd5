"""A sweep from end to end on TF-IDF and toy tables: budget, going on after a kill, several processes, and what is refused."""

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest

from smallprint import finish
from smallprint.cli import app as cli
from smallprint.core.errors import ConfigError, DataError, MissingExtraError, TrainingError
from smallprint.core.settings import load_config
from smallprint.sweep import command, judge, storage, study, trial
from smallprint.sweep.command import sweep_data
from smallprint.sweep.loop import Budget

pytest.importorskip("optuna")
pytest.importorskip("fcntl", reason="sweeps by several processes need file locks")

SETTINGS = [
    "model.backbone=tfidf",
    "tracking.enabled=false",
    "sweep.folds=1",
    "sweep.startup=3",
    "sweep.space={model.tfidf.cost: {low: 0.01, high: 10, log: true}, model.tfidf.words: {low: 1, high: 3}}",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory, labelled_frame):
    import polars as pl

    place = tmp_path_factory.mktemp("data") / "toy.parquet"
    frame = labelled_frame("multilabel", 160).with_columns(company=pl.Series([f"c{i % 16}" for i in range(160)]))
    frame.write_parquet(place)
    return str(place)


def run(data, out, trials=5, *more, **named):
    budget = Budget(trials, named.pop("minutes", None), named.pop("seeds", 2))
    return sweep_data(data, load_config(None, [*SETTINGS, *more]), budget=budget, out=out, **named)


def join(data, out):
    """Gives another process's view of the study."""
    config = load_config(None, SETTINGS)
    base, _ = command._resolve(config, "multilabel")
    about = command._about(data, base, base.sweep.space, command.open_judge(data, config))
    return study.open_study(out, about, base.sweep.space, base, [])


def told(found):
    return [(t["index"], t["state"], t["settings"], t["value"]) for t in found["trials"]]


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "sweep"
    return out, run(data, out, 6)


def test_it_leaves_what_it_says(whole):
    out, found = whole
    assert json.loads((out / "sweep.json").read_text()) == json.loads(json.dumps(found))
    assert "<svg" in (out / "sweep.html").read_text()
    report = (out / "winner" / "report.html").read_text()
    assert "Settings that a sweep varied" in report
    best = f"{found['best']['settings']['model.tfidf.cost']:.4g}"
    assert f'<code>model.tfidf.cost</code></th><td class="words">1</td><td class="words">{best}<' in report
    assert (out / "winner" / "bundle").is_dir()
    assert len(found["trials"]) == 6
    assert found["trials"][0]["start"] == "default"
    assert found["trials"][0]["settings"] == {"model.tfidf.cost": 1.0, "model.tfidf.words": 3}
    assert found["test_opened"] == 1
    assert set(found["default"]["seeds"]).isdisjoint({found["seed"]})
    assert not (out / "trials").exists() or not any((out / "trials").iterdir())
    assert not any((out / "workers").iterdir())


def test_started_again_it_trains_nothing_and_opens_test_no_second_time(whole, data, monkeypatch):
    out, found = whole
    monkeypatch.setattr(judge, "build_fit", lambda *a, **k: pytest.fail("trained again"))
    again = run(data, out, 6)
    assert told(again) == told(found)
    assert again["test_opened"] == 1
    assert again["winner"] == found["winner"]


KILLED = """
import os, signal, sys
from smallprint.core.settings import load_config
from smallprint.sweep import judge
from smallprint.sweep.command import sweep_data
from smallprint.sweep.loop import Budget
count, build = [0], judge.build_fit
def build_fit(*given):
    count[0] += 1
    if count[0] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return build(*given)
judge.build_fit = build_fit
sweep_data(sys.argv[1], load_config(None, sys.argv[3:]), budget=Budget(6, None, 2), out=sys.argv[2])
"""


def test_the_first_trial_is_of_the_own_settings_even_outside_the_space(data, tmp_path, monkeypatch):
    tried, build = [], judge.build_fit
    monkeypatch.setattr(judge, "build_fit", lambda *given: (tried.append(given[2].model.tfidf), build(*given))[1])
    found = run(data, tmp_path / "s", 2, "model.tfidf.cost=50", seeds=1)
    assert tried[0].cost == 50
    assert 0.01 <= tried[1].cost <= 10
    assert found["trials"][0]["settings"]["model.tfidf.cost"] == found["default_settings"]["model.tfidf.cost"] == 50


def test_killed_in_the_middle_it_goes_on_and_ends_as_if_it_had_not_been(whole, data, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, data, str(tmp_path / "s"), *SETTINGS], capture_output=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with sqlite3.connect(tmp_path / "s" / "study.db") as database:
        states = [row[0] for row in database.execute("select state from trials order by number")]
    assert states == ["COMPLETE"] * 4 + ["RUNNING"]
    found = run(data, tmp_path / "s", 6)
    assert told(found) == told(whole[1])
    assert found["best"] == whole[1]["best"]


def test_stopped_while_the_winner_trains_it_goes_on_with_frames(labelled_frame, tmp_path, monkeypatch):
    frame = labelled_frame("multilabel", 160)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(finish, "save_bundle", stop)
        with pytest.raises(KeyboardInterrupt):
            run(frame, tmp_path / "s", 1, seeds=1)
    assert json.loads((tmp_path / "s" / "winner" / "run.json").read_text())["status"] == "stopped"
    assert run(frame, tmp_path / "s", 1, seeds=1)["test_opened"] == 1
    assert (tmp_path / "s" / "winner" / "bundle").is_dir()


def test_ctrl_c_says_how_to_go_on_and_the_trial_is_done_again(whole, data, tmp_path, monkeypatch):
    build, count = judge.build_fit, [0]

    def build_fit(*given):
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        return build(*given)

    monkeypatch.setattr(judge, "build_fit", build_fit)
    lines = []
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "s", 6, say=lines.append)
    assert lines[-1] == f"Stopped. Go on with the same command and --out {tmp_path / 's'}"
    monkeypatch.setattr(judge, "build_fit", build)
    assert told(run(data, tmp_path / "s", 6)) == told(whole[1])


def test_processes_share_the_budget(data, tmp_path, monkeypatch):
    build, until = judge.build_fit, time.monotonic() + 120

    def workers():
        with sqlite3.connect(tmp_path / "s" / "study.db", timeout=30) as database:
            query = "select value_json from trial_user_attributes where key='worker'"
            return {row[0] for row in database.execute(query)}

    def wait_for_the_other(*given):
        while len(workers()) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        return build(*given)

    monkeypatch.setattr(judge, "build_fit", wait_for_the_other)
    found = run(data, tmp_path / "s", 9, processes=2, seeds=1)
    assert [t["index"] for t in found["trials"]] == list(range(9))
    assert {t["state"] for t in found["trials"]} == {"complete"}
    assert len(workers()) == 2


def test_a_trial_of_a_living_process_is_left_alone(data, tmp_path, monkeypatch):
    held = []
    real = trial.Deadline.passed
    out = tmp_path / "s"
    run(data, out, 2)
    other = join(data, out)
    held.append(other.ask(9))
    lines = []
    assert run(data, out, 4, say=lines.append) == {}
    assert "Other processes are still at it" in lines[-1]
    other.close()
    found = run(data, out, 4)
    assert [t["index"] for t in found["trials"]] == [0, 1, 2, 3]
    assert real is trial.Deadline.passed


def test_other_settings_or_data_in_the_same_folder_are_refused_with_what_differs(whole, data, tmp_path, labelled_frame):
    out, _ = whole
    with pytest.raises(ConfigError) as error:
        run(data, out, 6, "training.seed=7", "model.tfidf.characters=4")
    assert "training.seed: 42 there, 7 here" in str(error.value)
    with pytest.raises(ConfigError, match=r"sweep\.space\.model\.tfidf\.words: .*3} there, .*2} here"):
        run(data, out, 6, "sweep.space={model.tfidf.words: {high: 2}}")
    assert "model.tfidf" in str(error.value)
    other = tmp_path / "other.parquet"
    labelled_frame("multilabel", 120).write_parquet(other)
    with pytest.raises(ConfigError, match="data: .*toy.parquet there"):
        run(str(other), out, 6)


def test_a_folder_of_something_else_is_refused(data, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds no sweep"):
        run(data, tmp_path)
    with pytest.raises(ConfigError, match="is a file"):
        run(data, tmp_path / "note.txt")


def test_a_locked_study_is_told(whole, data, monkeypatch):
    monkeypatch.setattr(storage, "LOCKED_SECONDS", 0.1)
    with sqlite3.connect(whole[0] / "study.db", isolation_level=None) as database:
        database.execute("begin exclusive")
        with pytest.raises(TrainingError, match=r"study.db is locked by another program") as error:
            run(data, whole[0], 6)
        database.execute("rollback")
    assert error.value.exit_code == 5
    assert "it goes on" in str(error.value)


def test_a_study_that_may_not_be_written_is_told(whole, data, monkeypatch):
    import optuna
    from sqlalchemy import event

    class ReadOnly(optuna.storages.RDBStorage):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            self.engine.dispose()
            event.listen(self.engine, "connect", lambda connection, _: connection.execute("pragma query_only=1"))

    monkeypatch.setattr(optuna.storages, "RDBStorage", ReadOnly)
    with pytest.raises(TrainingError, match="may not be written"):
        run(data, whole[0], 7)


def test_a_file_that_is_no_study_is_told(data, tmp_path):
    (tmp_path / "study.db").write_text("this is no database, but long enough to look like something that is" * 20)
    with pytest.raises(TrainingError, match="is no study, or is damaged"):
        run(data, tmp_path)


@pytest.mark.parametrize("budget", [Budget(0), Budget(5, 0.0), Budget(5, None, 0)])
def test_a_budget_of_nothing_is_refused(data, tmp_path, budget):
    with pytest.raises(ConfigError, match="The budget is"):
        sweep_data(data, load_config(None, SETTINGS), budget=budget, out=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_where_all_trials_fail_it_says_why(data, tmp_path, monkeypatch):
    def fail(*given):
        raise TrainingError("The loss is nan at epoch 1.", "a finite loss", "Lower it.")

    monkeypatch.setattr(judge, "build_fit", fail)
    with pytest.raises(TrainingError) as error:
        run(data, tmp_path / "s", 9)
    assert "All 5 trials failed" in str(error.value)  # and does not go on to nine
    assert "5 x The loss is nan at epoch 1." in str(error.value)
    assert error.value.exit_code == 5


def test_a_trial_that_fails_is_told_and_the_others_go_on(data, tmp_path, monkeypatch):
    build, count = judge.build_fit, [0]

    def build_fit(*given):
        count[0] += 1
        if count[0] == 2:
            raise TrainingError("Too hot.", "", "")
        return build(*given)

    monkeypatch.setattr(judge, "build_fit", build_fit)
    lines = []
    found = run(data, tmp_path / "s", 4, say=lines.append)
    assert [t["state"] for t in found["trials"]].count("failed") == 1
    assert found["trials"][1]["why"] == "Too hot."
    assert any("failed: Too hot." in line for line in lines)


def test_a_full_disk_ends_the_sweep_and_costs_no_trial(data, tmp_path, monkeypatch):
    from smallprint.core.errors import SmallprintError

    build = judge.build_fit

    def full(*given):
        raise SmallprintError("x could not be written: no space.", "", "")

    monkeypatch.setattr(judge, "build_fit", full)
    with pytest.raises(SmallprintError, match="no space"):
        run(data, tmp_path / "s", 3)
    monkeypatch.setattr(judge, "build_fit", build)
    assert [t["state"] for t in run(data, tmp_path / "s", 3)["trials"]].count("failed") == 0


def test_time_ends_it_and_what_there_is_is_used(data, tmp_path, monkeypatch):
    build = judge.build_fit
    monkeypatch.setattr(judge, "build_fit", lambda *given: (time.sleep(0.25), build(*given))[1])
    found = run(data, tmp_path / "s", 500, minutes=1.2 / 60)
    assert 1 <= len(found["trials"]) < 15


def test_what_was_found_in_the_data_is_said_once(data, tmp_path):
    lines = []
    run(data, tmp_path / "s", 1, seeds=1, say=lines.append)
    assert [line for line in lines if line.startswith("Found ")] == lines[:1]
    assert len(set(lines)) == len(lines)


def test_without_optuna_it_says_what_to_install(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'smallprint\[sweep\]'") as error:
        run(data, tmp_path / "s")
    assert error.value.exit_code == 8


def test_small_data_is_judged_by_folds_with_groups_whole(data):
    config = load_config(None, [*SETTINGS, "sweep.folds=auto"])
    opened = judge.open_judge(data, config)
    assert opened.folds == judge.FOLDS
    groups = [None] * 0
    seen = []
    for splits, rows in opened.parts(3):
        assert set(splits.train.groups).isdisjoint(splits.validation.groups)
        seen += rows.tolist()
        groups.append(len(rows))
        with pytest.raises(Exception, match="test split"):
            splits.open_test()
    assert sorted(seen) == list(range(len(opened.pool)))
    assert judge.open_judge(data, load_config(None, [*SETTINGS, "sweep.folds=auto", "sweep.small=50"])).folds == 1


def test_too_few_groups_for_the_folds_end_it_before_the_first_trial(tmp_path, labelled_frame):
    import polars as pl

    frame = labelled_frame("multilabel", 160).with_columns(company=pl.Series([f"c{i // 32}" for i in range(160)]))
    frame.write_parquet(tmp_path / "toy.parquet")
    lines = []
    with pytest.raises(DataError, match=r"4 groups are too few for 5 folds(.|\n)*Set sweep\.folds to 4 or fewer"):
        run(str(tmp_path / "toy.parquet"), tmp_path / "s", 5, "sweep.folds=5", say=lines.append)
    assert not (tmp_path / "s").exists()
    assert lines == []


def test_test_is_not_read_before_the_winner_is_known(data, tmp_path, monkeypatch):
    events = []
    real_retrain, real_train, real_open = command.retrain, command.train_winner, judge.split_source

    def split_source(*given):
        splits = real_open(*given)
        from dataclasses import replace

        return replace(splits, open_test=lambda: pytest.fail("test was opened by the search"))

    monkeypatch.setattr(judge, "split_source", split_source)
    monkeypatch.setattr(command, "retrain", lambda *g: (events.append("seeds"), real_retrain(*g))[1])
    monkeypatch.setattr(command, "train_winner", lambda *g: (events.append("test"), real_train(*g))[1])
    run(data, tmp_path / "s", 3)
    assert events[-1] == "test"
    assert events.count("test") == 1


def test_a_process_that_ends_first_leaves_the_run_of_the_sweep_to_the_others(data, tmp_path, monkeypatch):
    from mlflow import MlflowClient

    root = tmp_path / "runs"
    tracked = ("tracking.enabled=true", f"tracking.root={root}")
    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")

    def status():
        runs = client.search_runs([client.get_experiment_by_name("smallprint").experiment_id])
        return next(r.info.status for r in runs if "mlflow.parentRunId" not in r.data.tags)

    conclude, seen = command._conclude, []

    def with_another_at_the_same_time(*given):
        monkeypatch.setattr(command, "_conclude", conclude)
        assert run(data, tmp_path / "s", 2, *tracked, seeds=1) == {}
        seen.append(status())
        return conclude(*given)

    monkeypatch.setattr(command, "_conclude", with_another_at_the_same_time)
    run(data, tmp_path / "s", 2, *tracked, seeds=1)
    assert [*seen, status()] == ["RUNNING", "FINISHED"]


def test_trials_that_others_complete_while_the_winner_trains_are_chosen_from_too(data, tmp_path, monkeypatch):
    train_winner, lines = command.train_winner, []

    def with_another_at_the_same_time(*given):
        monkeypatch.setattr(command, "train_winner", train_winner)
        assert run(data, tmp_path / "s", 3, seeds=1, say=lines.append) == {}
        return train_winner(*given)

    monkeypatch.setattr(command, "train_winner", with_another_at_the_same_time)
    found = run(data, tmp_path / "s", 1, seeds=1)
    assert "Other processes are still at it" in lines[-1]
    assert len(found["trials"]) == 3
    assert found["best"]["value"] == max(one["value"] for one in found["trials"])


def test_where_the_last_trial_that_ran_has_failed_it_says_so(data, tmp_path, monkeypatch):
    (tmp_path / "s").mkdir()
    other, last = join(data, tmp_path / "s"), command.last
    ran, _ = other.ask(9)

    def last_after_it_failed(*given):
        other.tell(ran, "failed", why="Too hot.")
        return last(*given)

    monkeypatch.setattr(command, "last", last_after_it_failed)
    with pytest.raises(TrainingError, match="1 x Too hot"):
        run(data, tmp_path / "s", 1)
    other.close()


def test_runs_are_nested_in_mlflow(data, tmp_path):
    from mlflow import MlflowClient

    root = tmp_path / "runs"
    found = run(data, tmp_path / "s", 3, "tracking.enabled=true", f"tracking.root={root}")
    client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("smallprint").experiment_id])
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert len(parents) == 1
    below = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    trials = {r.info.run_name: r for r in below if r.info.run_name.startswith("trial")}
    assert set(trials) == {"trial 1", "trial 2", "trial 3"}
    assert trials["trial 1"].data.metrics["average_precision"] == pytest.approx(found["trials"][0]["value"])
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert any(r.info.run_name == "winner" for r in below)


def test_the_command_line(data, tmp_path, capsys):
    words = [
        "sweep",
        data,
        "--trials",
        "2",
        "--seeds",
        "1",
        "--backbone",
        "tfidf",
        "--out",
        str(tmp_path / "s"),
        "--json",
    ]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--set", "tracking.enabled=false", "--set", "sweep.folds=1"])
    assert not end.value.code
    captured = capsys.readouterr()
    assert json.loads(captured.out)["format"] == 1
    assert "trial 1/2 (default)" in captured.err
    assert "Test (" in captured.err
    with pytest.raises(SystemExit) as end:
        cli.main(["sweep", data, "--trials", "0"])
    assert end.value.code == 2


def test_a_frozen_encoder_reads_each_text_once(data, tmp_path, tiny_backbone, monkeypatch):
    from smallprint.training import stored

    read, real = [], stored.read_vectors

    def spy(classifier, dataset, module):
        read.append(len(dataset))
        return real(classifier, dataset, module)

    monkeypatch.setattr(stored, "read_vectors", spy)
    settings = [
        *("tracking.enabled=false", f"model.backbone={tiny_backbone}", "model.adapter=frozen", "sweep.folds=1"),
        "sweep.space={model.layers: {choices: [[2], [1, 2], [1]]}, model.head: {choices: [svm, linear]}}",
        "training.epochs=1",
    ]
    budget = Budget(8, None, 1)
    found = sweep_data(data, load_config(None, settings), budget=budget, out=tmp_path / "s")
    layers = {tuple(t["settings"]["model.layers"]) for t in found["trials"]}
    assert len(layers) == 3
    assert len(read) == 2  # train and validation, by the first trial


@pytest.mark.parametrize("model", [{"adapter": "lora"}, {"train_layers": 1}], ids=["lora", "upper"])
def test_an_encoder_is_searched_by_its_default_space(data, tmp_path, tiny_backbone, model):
    settings = [f"model.{key}={value}" for key, value in model.items()]
    settings += ["tracking.enabled=false", f"model.backbone={tiny_backbone}", "sweep.folds=1", "training.epochs=2"]
    found = sweep_data(data, load_config(None, settings), budget=Budget(2, None, 1), out=tmp_path / "s")
    first = found["trials"][0]
    assert first["settings"]["training.learning_rate"] == (
        5e-4 if "adapter" in model else 5e-5
    )  # training's own choice
    assert len(first["curve"]) == 2
    assert max(first["curve"]) == pytest.approx(first["value"], abs=1e-6)
    assert [t["start"] for t in found["trials"]] == (["default", ""] if "adapter" in model else ["default", "known"])


def test_a_frozen_encoder_s_head_has_a_curve_by_which_trials_are_pruned(data, tmp_path, tiny_backbone, monkeypatch):
    from smallprint.families import encoder

    def no_trainer(*_, **__):
        raise AssertionError("a head this small needs no trainer")

    monkeypatch.setattr(encoder, "fit_classifier", no_trainer)
    settings = [
        *("tracking.enabled=false", f"model.backbone={tiny_backbone}", "model.adapter=frozen", "sweep.folds=1"),
        *(
            "model.head=mlp",
            "training.epochs=3",
            "training.patience=3",
            "sweep.space={model.dropout: {choices: [0.1, 0.2]}}",
        ),
    ]
    found = sweep_data(data, load_config(None, settings), budget=Budget(2, None, 1), out=tmp_path / "a")
    for one in found["trials"]:
        assert len(one["curve"]) == 3
        assert max(one["curve"]) == pytest.approx(one["value"], abs=1e-6)

    monkeypatch.setattr(study.Study, "report", lambda self, trial, value, step: trial.number > 0)
    found = sweep_data(data, load_config(None, settings), budget=Budget(2, None, 1), out=tmp_path / "b")
    assert [one["state"] for one in found["trials"]] == ["complete", "pruned"]


def test_a_lagging_trial_is_pruned_by_its_curve():
    reported = []

    class Log:
        def log_metrics(self, values, step=0):
            pass

        def log_points(self, points):
            reported.append(points)

    values = iter([False, False, True])
    curve = trial.Curve(Log(), lambda value, step: next(values), lambda: False)
    for epoch in range(2):
        curve.log_points([("validation/average_precision", 0.1, epoch)])
    curve.log_points([("train/loss", 1.0, 5)])
    curve.log_metrics({"validation/average_precision": 0.5})  # fitted in one go: no curve
    with pytest.raises(trial.PrunedError, match="median"):
        curve.log_points([("validation/average_precision", 0.1, 9)])
    with pytest.raises(trial.PrunedError, match="time"):
        trial.Curve(Log(), None, lambda: True).log_points([("validation/average_precision", 0.1, 9)])
    assert len(reported) == 5


def test_long_trainings_are_heard_of(monkeypatch):
    lines = []
    say = trial.patient(lines.append)
    say("  epoch 1/8 done")
    monkeypatch.setattr(trial, "LONG_SECONDS", 0.0)
    say("  epoch 2/8 done")
    say("5 texts are cut")
    assert lines == ["    epoch 2/8 done"]


def test_help_is_there(capsys):
    with pytest.raises(SystemExit):
        cli.main(["sweep", "--help"])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("--trials", "--minutes", "--seeds", "--processes", "--out"))
    assert "--worker" not in shown
    assert textwrap.dedent(shown)


def test_what_is_stated_of_the_winner_trains_it_no_second_time(data, tmp_path):
    from smallprint import papers
    from smallprint.core.run import open_run

    run(data, tmp_path / "s", 2, seeds=1)
    winner = tmp_path / "s" / "winner"
    papers.write_card(open_run(winner), ["card.licence=mit"])
    found = run(data, tmp_path / "s", 2, seeds=1)
    assert "license: mit" in (winner / "README.md").read_text()
    assert found["test_opened"] == 1
