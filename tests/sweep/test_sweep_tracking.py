"""A sweep whose store is away: that is said once, trials wait, and are sent when it answers, by whoever comes first."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from smallprint.core.config import Config
from smallprint.core.mlflow_store import tracking_uri
from smallprint.core.settings import render_config
from smallprint.sweep.study import Row
from smallprint.sweep.tracking import SweepTracking
from smallprint.sweep.workers import Worker
from smallprint.training.journal import FILE
from smallprint.training.left_behind import send_left_behind, tidy

pytest.importorskip("fcntl", reason="sweeps by several processes need file locks")
PARENT = "mlflow.parentRunId"


class Store:
    """An MLflow client that is away as long as it is told to."""

    def __init__(self):
        self.away, self.calls, self.runs, self.metrics, self.ended = True, 0, {}, {}, []

    def create_run(self, experiment, tags, run_name, start_time=None):
        self._check()
        assert run_name not in self.runs
        self.runs[run_name] = dict(tags)
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def get_run(self, run_id):
        self._check()
        status = dict(self.ended).get(run_id, "RUNNING")
        return SimpleNamespace(info=SimpleNamespace(status=status))

    def update_run(self, run_id, status):
        self._check()

    def search_runs(self, experiments, query, max_results):
        self._check()
        key = query.split("'")[1]
        found = [name for name, tags in self.runs.items() if tags["smallprint.key"] == key]
        return [SimpleNamespace(info=SimpleNamespace(run_id=name)) for name in found]

    def log_batch(self, run_id, metrics=(), params=(), tags=()):
        self._check()
        self.runs[run_id] |= {tag.key: tag.value for tag in tags} | {param.key: param.value for param in params}
        self.metrics.setdefault(run_id, []).extend(metric.value for metric in metrics)

    def set_terminated(self, run_id, status, end_time=None):
        self._check()
        self.ended.append((run_id, status))

    def get_experiment_by_name(self, name):
        self._check()
        return SimpleNamespace(experiment_id="1")

    def _check(self):
        self.calls += 1
        if self.away:
            raise ConnectionError("away")


class Remembers:
    """A study that remembers."""

    def __init__(self, folder, config):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(render_config(config))
        self.folder, self.kept = folder, {}

    def recall(self, name):
        return self.kept.get(name)

    def remember(self, name, value):
        self.kept[name] = value


@pytest.fixture
def store(monkeypatch):
    store = Store()
    monkeypatch.setattr("smallprint.training.sending.open_client", lambda uri, make: store)
    for name in ("AGAIN_SECONDS", "SLOW"):  # a first import may take as long as a slow store
        monkeypatch.setattr(f"smallprint.training.tracking.{name}", 0.0)
    return store


@pytest.fixture
def config(tmp_path):
    return Config(tracking={"root": str(tmp_path / "root")})


@pytest.fixture
def study(tmp_path, config):
    return Remembers(tmp_path / "root" / "s", config)


def trial(tracking, number):
    tracker = tracking.begin(f"trial {number + 1}", {"model.dropout": number / 10})
    tracker.log_points([("validation/average_precision", 0.5, 1)])
    tracking.end_trial(tracker, Row(number, "complete", {}, 0.5))


def ended(store, *names):
    assert set(store.runs) == {"s", *names}
    for name in names:
        assert store.runs[name][PARENT] == "s"
        assert store.runs[name]["model.dropout"] == str((int(name.split()[1]) - 1) / 10)
        assert store.metrics[name] == [0.5, 0.5]
        assert dict(store.ended)[name] == "FINISHED"


def test_a_store_that_is_away_is_said_once_and_trials_are_sent_when_it_answers(store, study, config):
    said = []
    tracking = SweepTracking(study, config, said.append)
    assert "does not answer" in said[0]
    assert f"trials are kept in {study.folder / 'tracking'} and sent when it answers" in said[1]
    for number in range(3):
        trial(tracking, number)
    assert (store.runs, len(said)) == ({}, 2)
    assert store.calls <= 6, "the sweep asks whether the store is there; its trials do not"
    assert "mlflow_run_id" not in study.kept
    store.away = False
    trial(tracking, 3)
    ended(store, "trial 1", "trial 2", "trial 3", "trial 4")
    assert store.runs["s"]["smallprint.sweep"] == str(study.folder.absolute())
    assert study.kept["mlflow_run_id"] == "s"
    assert said[2:] == [
        "Tracking: the store answers again, and has what was kept.",
        "Tracking: 3 runs that had ended without it were sent.",
    ]
    tracking.finish("FINISHED")
    assert store.ended[-1] == ("s", "FINISHED")
    assert not (study.folder / "tracking").exists()


def test_a_store_that_goes_away_within_a_trial(store, study, config):
    said, store.away = [], False
    tracking = SweepTracking(study, config, said.append)
    tracker = tracking.begin("trial 1", {"model.dropout": 0.0})
    store.away = True
    tracker.log_points([("validation/average_precision", 0.5, 1)])
    tracking.end_trial(tracker, Row(0, "complete", {}, 0.5))
    assert said == []
    trial(tracking, 1)
    assert "does not answer" in said[0]
    store.away = False
    trial(tracking, 2)
    ended(store, "trial 1", "trial 2", "trial 3")
    assert len(said) == 4


def test_what_is_kept_to_the_end_is_sent_by_the_same_sweep_later(store, study, config):
    tracking = SweepTracking(study, config, [].append)
    trial(tracking, 0)
    tracking.finish("FINISHED")
    assert len([*(study.folder / "tracking").glob("*/tracking.jsonl")]) == 2
    store.away, said = False, []
    again = SweepTracking(study, config, said.append)
    ended(store, "trial 1")
    assert said == ["Tracking: 1 run that had ended without it was sent."]
    again.finish("FINISHED")
    assert not (study.folder / "tracking").exists()


def test_what_is_kept_to_the_end_is_sent_by_the_next_training(store, study, config, tmp_path):
    tracking = SweepTracking(study, config, [].append)
    trial(tracking, 0)
    tracking.finish("KILLED")
    store.away = False
    root = tmp_path / "root"
    assert send_left_behind(root, root / "own", tracking_uri(config), print) == 2
    ended(store, "trial 1")
    assert store.ended[0] == ("s", "KILLED")
    assert not [*(study.folder / "tracking").iterdir()]


def test_a_trial_whose_process_died_is_marked_so(store, study, config):
    store.away = False
    tracking = SweepTracking(study, config, [].append)
    lost = tracking.begin("trial 1", {})
    for tracker in (lost, tracking.parent):
        tracker._journal._close()  # as a kill leaves it
    again = SweepTracking(study, config, [].append)
    assert store.ended == [("trial 1", "KILLED")]
    again.finish("FINISHED")
    assert store.ended[1:] == [("s", "FINISHED")]


def test_several_processes_share_the_parent(store, study, config):
    first, second = (SweepTracking(study, config, [].append) for _ in range(2))
    trial(second, 1)
    store.away = False
    trial(first, 0)
    trial(second, 2)
    ended(store, "trial 1", "trial 2", "trial 3")
    first.finish("FINISHED")
    assert not (study.folder / "tracking").exists()


def test_the_last_process_to_end_ends_the_parent(store, study, config):
    """Without it one that ends first, by Ctrl-C or with nothing left to do, marks a sweep that goes on."""
    store.away = False
    first, second = (SweepTracking(study, config, [].append) for _ in range(2))
    worker = Worker(study.folder)
    first.finish("KILLED")
    assert store.ended == []
    assert send_left_behind(study.folder.parent, study.folder / "own", tracking_uri(config), print) == 0
    assert store.ended == [], "nor does another training take it for dead"
    worker.leave()
    second.finish("FINISHED")
    assert store.ended == [("s", "FINISHED")]
    assert not (study.folder / "tracking").exists()


@pytest.mark.parametrize(("found", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_the_last_to_end_with_nothing_to_say_tells_what_another_found(store, study, config, found, status):
    store.away = False
    tracking = SweepTracking(study, config, [].append)
    if found:
        (study.folder / "sweep.json").write_text("{}")
    tracking.finish(None)
    assert store.ended == [("s", status)]


def test_a_folder_that_is_about_to_be_used_is_left_alone(store, study, config):
    """Another process has made its folder, and not yet its journal."""
    store.away = False
    tracking = SweepTracking(study, config, [].append)
    begins = study.folder / "tracking" / "of-another"
    begins.mkdir()
    (begins / "run.json").write_text('{"status": "started"}')
    trial(tracking, 0)
    assert (begins / "run.json").exists()


def test_a_journal_that_was_begun_meanwhile_is_never_taken_away(tmp_path, monkeypatch):
    folder = tmp_path / "tracking" / "sweep"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    unlink = Path.unlink

    def unlink_slowly(path, *args, **kwargs):
        unlink(path, *args, **kwargs)
        (folder / FILE).write_text("begun")

    monkeypatch.setattr(Path, "unlink", unlink_slowly)
    tidy(folder)
    assert (folder / FILE).read_text() == "begun"


def test_a_folder_with_an_apostrophe_has_one_parent(store, config, tmp_path):
    study = Remembers(tmp_path / "root" / "bob's", config)
    tracking = SweepTracking(study, config, [].append)
    trial(tracking, 0)
    store.away = False
    trial(tracking, 1)
    assert set(store.runs) == {"bob's", "trial 1", "trial 2"}
    assert store.runs["trial 1"][PARENT] == store.runs["trial 2"][PARENT] == "bob's"


def test_only_a_sweep_in_the_run_root_is_found_by_trainings(store, config, tmp_path):
    said = []
    SweepTracking(Remembers(tmp_path / "elsewhere" / "s", config), config, said.append)
    assert said[1].endswith("by this sweep, or by the same command later.")


def test_nothing_is_said_or_written_where_tracking_is_off(store, study):
    said, config = [], Config(tracking={"enabled": False})
    tracking = SweepTracking(study, config, said.append)
    trial(tracking, 0)
    tracking.finish("FINISHED")
    assert (said, store.calls, study.kept) == ([], 0, {})
    assert not (study.folder / "tracking").exists()


def test_a_folder_that_cannot_be_made_stops_no_trial(store, study, config):
    store.away = False
    (study.folder / "tracking").write_text("in the way")
    tracking = SweepTracking(study, config, [].append)
    trial(tracking, 0)
    tracking.finish("FINISHED")
    ended(store, "trial 1")
