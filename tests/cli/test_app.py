"""What the command line passes on, prints and exits with; the steps themselves are replaced by functions that note their calls."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from smallprint import __version__, api
from smallprint.cli import app as cli
from smallprint.cli import terminal
from smallprint.core import errors
from smallprint.core.config import Config
from smallprint.core.results import LabelMetrics, Metrics, TrainResult
from smallprint.inference import engine, predictor

ROW = LabelMetrics("unfair", 3, 2, 1.0, 0.5, 0.667, 0.8, 0.4)
METRICS = Metrics("test", "binary", 10, {"f1": 0.667}, [ROW])
RESULT = TrainResult(
    run=Path("r"),
    bundle=Path("r/bundle"),
    report=Path("r/report.html"),
    metrics_file=Path("r/metrics.json"),
    task="binary",
    label_names=["fair", "unfair"],
    validation=METRICS,
    test=METRICS,
    tracking_uri=None,
)


@pytest.fixture
def call(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def calls(monkeypatch):
    noted = SimpleNamespace()

    def note(name, answer):
        def step(*given, **named):
            setattr(noted, name, (given, named))
            return answer

        monkeypatch.setattr(predictor if name == "predict_file" else api, name, step)

    note("train", RESULT)
    note("evaluate", (METRICS, None))
    note("load", "engine")
    note("predict_file", SimpleNamespace(rows=1234, skipped_empty=2, output="out.csv"))
    note("report", Path("r/report.html"))
    note("load_config_of", Config())
    return noted


@pytest.fixture(autouse=True)
def _bundles(monkeypatch):
    """`predict` loads its bundle past `api`, which a bundle without torch cannot afford."""
    monkeypatch.setattr(engine, "open_model", lambda path: f"engine of {path}")


def raising(error):
    def step(*_, **__):
        raise error

    return step


def test_version_and_help(call):
    assert call("--version") == (0, f"smallprint {__version__}\n", "")
    code, out, _ = call("--help")
    assert code == 0
    for command in ("train", "evaluate", "predict", "report", "ui", "config"):
        assert f"  {command} " in out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["train", "--nonsense"], ["evaluate"], ["train", "sample", "--epochs", "x"]]
)
def test_wrong_use_is_exit_2_without_a_traceback(call, calls, arguments):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert not vars(calls)


def test_flags_win_over_set_and_set_over_the_file(call, calls, tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("training: {epochs: 2, seed: 2, patience: 2}\ndata: {delimiter: ';'}\n")
    sets = ["--set", "training.epochs=3", "--set", "training.seed=3"]
    assert call("train", "sample", "--config", file, *sets, "--epochs", 4)[0] == 0
    config = calls.train[1]["config"]
    assert (config.training.epochs, config.training.seed, config.training.patience) == (4, 3, 2)
    assert config.data.delimiter == ";"


def test_an_option_that_stands_twice_is_not_quietly_taken_once(call):
    code, _, err = call("train", "data", "--labels", "a", "--seed", "1", "--labels", "b")
    assert code == 2
    assert "--labels stands 2 times" in err
    code, _, err = call("actions", "status", "--json", "--json", "nowhere")
    assert "stands" not in err


def test_each_flag_sets_its_setting(call, calls):
    flags = {"task": "binary", "text": "my text: a, b", "labels": "a,b", "group": "c", "adapter": "lora"}
    flags["extra"] = "e: 1.csv"
    more = {"backbone": "owner/name", "epochs": 1, "seed": 0, "out": "o"}
    pairs = [part for name, value in {**flags, **more}.items() for part in (f"--{name}", value)]
    assert call("train", "sample", *pairs)[0] == 0
    (data,), named = calls.train
    config = named["config"]
    assert (data, named["out"], named["resume"]) == ("sample", Path("o"), None)
    assert {name: getattr(config.data, name) for name in ("task", "text", "labels", "group", "extra")} == {
        name: flags[name] for name in ("task", "text", "labels", "group", "extra")
    }
    assert (config.model.adapter, config.model.backbone) == ("lora", "owner/name")
    assert (config.training.epochs, config.training.seed) == (1, 0)


def test_train_says_where_things_are_on_standard_error(call, calls):
    code, out, err = call("train", "sample")
    assert (code, out) == (0, "")
    for place in (RESULT.bundle, RESULT.report, RESULT.metrics_file):
        assert str(place) in err


def test_train_json_is_one_line_on_standard_output(call, calls):
    _, out, _ = call("train", "sample", "--json")
    assert out.count("\n") == 1
    answer = json.loads(out)
    assert answer["bundle"] == str(RESULT.bundle)
    assert answer["test"] == {"f1": 0.667}


def test_resume_needs_no_data_and_takes_no_settings(call, calls):
    assert call("train", "--resume", "r")[0] == 0
    assert calls.train[0] == (None,)
    assert calls.train[1]["resume"] == Path("r")
    for more in (["--epochs", 3], ["--set", "training.epochs=3"], ["--out", "o"]):
        code, _, err = call("train", "--resume", "r", *more)
        assert code == 2
        assert "--resume" in err


def test_evaluate_prints_a_table_for_people_or_json(call, calls):
    code, out, err = call("evaluate", "m", "d.csv", "--split", "validation")
    assert (code, err) == (0, "")
    assert "unfair" in out
    given, named = calls.evaluate
    assert (given, named["split"], named["config"]) == (("m", "d.csv"), "validation", None)
    assert named["say"] is not None  # who knows what the model learned from says so
    assert not hasattr(calls, "load_config_of")  # nothing was asked that needs the bundle's settings
    _, out, err = call("evaluate", "m", "d.csv", "--json", "--text", "body")
    assert json.loads(out) == METRICS.to_dict()
    assert err == ""
    assert calls.evaluate[1]["config"].text == "body"


def test_evaluate_takes_settings_of_data_alone(call, calls):
    assert call("evaluate", "m", "d.csv", "--set", "data.empty_text=drop", "--encoding", "windows-1252")[0] == 0
    config = calls.evaluate[1]["config"]
    assert (config.empty_text, config.encoding) == ("drop", "windows-1252")
    code, _, err = call("evaluate", "m", "d.csv", "--set", "evaluation.threshold=f1")
    assert (code, "thresholds and calibration are the model's" in err) == (2, True)


def test_an_encoding_that_is_none_is_told_before_the_model_is_loaded(call, calls):
    code, _, err = call("predict", "m", "in.csv", "--encoding", "utf-16")
    assert (code, "windows-1252" in err) == (2, True)
    assert not hasattr(calls, "predict_file")


def test_predict_passes_files_and_format_on(call, calls):
    code, out, err = call("predict", "m", "in.csv", "-o", "out.csv", "--text", "body", "--format", "jsonl")
    assert (code, out) == (0, "")
    given, named = calls.predict_file
    assert given == ("engine of m", "in.csv", "out.csv")
    assert (named["text"], named["output_format"]) == ("body", "jsonl")
    assert named["say"] is not None  # who writes the rows says how many, once
    assert "rows" not in err


def test_predict_writes_over_its_input_only_when_told(call, calls, tmp_path):
    table = tmp_path / "in.csv"
    table.write_text("text\nhello\n")
    (tmp_path / "link.csv").symlink_to(table)
    for out in ("in.csv", "link.csv"):
        code, _, err = call("predict", "m", str(table), "-o", str(tmp_path / out))
        assert code == 2
        assert "--force" in err
    assert not hasattr(calls, "predict_file")
    assert call("predict", "m", str(table), "-o", str(table), "--force")[0] == 0


def test_predict_reads_standard_input_when_no_file_is_named(call, calls):
    call("predict", "m")
    assert calls.predict_file[0] == ("engine of m", "-", "-")


def test_report_prints_its_path(call, calls):
    assert call("report", "r") == (0, f"{Path('r/report.html')}\n", "")


def test_config_prints_settings_that_read_back(call, tmp_path):
    code, out, _ = call("config", "--set", "training.epochs=3")
    assert code == 0
    assert Config.model_validate(yaml.safe_load(out)) == Config.model_validate({"training": {"epochs": 3}})
    assert "# Longest training in epochs" in out


def test_ui_listens_on_this_machine_only(call, monkeypatch, tmp_path):
    code, _, err = call("ui", "--root", tmp_path)
    assert code == 2
    assert "mlflow.db" in err
    (tmp_path / "mlflow.db").touch()
    noted = []
    monkeypatch.setattr(subprocess, "call", lambda command, cwd: noted.append((command, cwd)) or 0)
    assert call("ui", "--root", tmp_path)[0] == 0
    ((command, cwd),) = noted
    assert cwd == tmp_path, "MLflow's own processes import from there"
    assert command[:4] == [sys.executable, "-P", "-m", "mlflow"], "nothing is imported from the present folder"
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SmallprintError, 1),
        (errors.ConfigError, 2),
        (errors.DataError, 3),
        (errors.DocumentError, 4),
        (errors.TrainingError, 5),
        (errors.BundleError, 6),
        (errors.ExportError, 7),
        (errors.MissingExtraError, 8),
    ],
)
def test_every_error_has_its_exit_code_and_no_traceback(call, monkeypatch, kind, code):
    monkeypatch.setattr(api, "train", raising(kind("Found this.", "that", "Do so.")))
    assert call("train", "sample") == (code, "", "Error: Found this.\nExpected: that\nWhat to do: Do so.\n")


def test_an_unknown_setting_names_the_nearest(call, calls):
    code, _, err = call("train", "sample", "--set", "training.epoch=3", "--set", "model.hed=mlp")
    assert code == 2
    assert "'training.epochs'" in err
    assert "'model.head'" in err
    assert not vars(calls)


def test_ctrl_c_is_one_line(call, monkeypatch):
    monkeypatch.setattr(engine, "open_model", raising(KeyboardInterrupt()))
    assert call("predict", "m", "in.csv") == (130, "", "Stopped.\n")


def test_ctrl_c_in_training_says_how_to_go_on_once(call, monkeypatch):
    def stopped(*_, say, **__):
        say("Stopped. Go on with: smallprint train --resume r")
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "train", stopped)
    assert call("train", "sample") == (130, "", "Stopped. Go on with: smallprint train --resume r\n")
    monkeypatch.setattr(engine, "open_model", raising(KeyboardInterrupt()))
    assert call("predict", "m") == (130, "", "Stopped.\n")  # a line of an earlier command counts no more


def test_a_full_disk_is_told(call, monkeypatch):
    monkeypatch.setattr(api, "train", raising(OSError(errno.ENOSPC, "No space left on device", "/x/y")))
    code, _, err = call("train", "sample")
    assert code == 1
    assert "disk is full (/x/y)" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("bug", [ZeroDivisionError("x"), OSError(errno.EIO, "x")])
def test_anything_else_is_a_bug_and_keeps_its_traceback(monkeypatch, bug):
    monkeypatch.setattr(api, "train", raising(bug))
    with pytest.raises(type(bug)):
        cli.main(["train", "sample"])


def test_a_reader_that_went_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-m", "smallprint", "config"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, env=buffered, timeout=60, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_telemetry_is_off_unless_asked_for(call, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    call("--version")
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "0"


def test_bench_prints_the_table_or_json(call, monkeypatch):
    from smallprint.bench import command

    asked = []

    def fake(*arguments, **named):
        asked.append((arguments, named))
        return {"rows": []}, ["| system |", "", "a note"]

    monkeypatch.setattr(command, "run_bench", fake)
    assert call("bench", "unfair-tos", "--rows", "linear,full", "--seeds", "2") == (0, "| system |\n\na note\n", "")
    assert asked[0][0] == ("unfair-tos", None, ["linear", "full"], 2)
    assert asked[0][1]["quick"] is False
    assert json.loads(call("bench", "unfair-tos", "--json")[1]) == {"rows": []}


def test_the_help_of_bench_names_every_row(call):
    from smallprint.bench.systems import SYSTEMS

    words = call("bench", "--help")[1]
    assert all(name in words for name in SYSTEMS)


def test_no_summary_of_a_command_is_cut(call):
    assert "..." not in call("--help")[1].replace("[ARGS]...", "")


def test_half_of_a_character_on_standard_output_is_a_number(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    terminal.speak_utf8()
    terminal.print_json({"name": "caf\udce9 \xe4"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue()) == {"name": "caf\udce9 \xe4"}
