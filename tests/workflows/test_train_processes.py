"""`smallprint train --devices 2`: real processes, one of which is killed, and a resume."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from smallprint import api
from smallprint.core.errors import ConfigError
from smallprint.core.settings import load_config


@pytest.fixture
def command(tiny_backbone, labelled_frame, tmp_path):
    labelled_frame("multilabel", 300).write_parquet(tmp_path / "table.parquet")

    def make(*more):
        sets = [
            "training.precision=fp32",
            "tracking.enabled=false",
            "training.learning_rate=1e-3",
            "training.patience=99",
        ]
        own = [part for one in sets for part in ("--set", one)]
        where = [str(tmp_path / "table.parquet"), "--backbone", str(tiny_backbone), "--out", str(tmp_path / "run")]
        return [sys.executable, "-m", "smallprint", "train", *where, *own, *more]

    return make


def processes_of(launcher):
    """Gives the process of each rank below a launcher."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            environ = (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher:
            found |= {int(part[5:]): int(place.name) for part in environ if part.startswith(b"RANK=")}
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")
def test_one_that_is_killed_ends_all_and_the_run_goes_on(command, tmp_path):
    run = tmp_path / "run"
    work = subprocess.Popen(command("--devices", "2", "--epochs", "400"), stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while time.monotonic() < until and not (run / "checkpoints" / "last.safetensors").exists():
        time.sleep(0.1)
    ranks = processes_of(work.pid)
    assert sorted(ranks) == [0, 1]
    os.kill(ranks[1], signal.SIGKILL)
    _, said = work.communicate(timeout=300)
    assert work.returncode == 5
    assert "Process 2 of 2 was killed (signal 9)" in said
    assert said.count("Found 300 rows") == 1, "the first alone speaks"
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())
    for line in (run / "config.yaml").read_text().splitlines():
        assert line != "  devices: auto"
    config = (run / "config.yaml").read_text().replace("epochs: 400", "epochs: 12")
    (run / "config.yaml").write_text(config)
    done = subprocess.run(
        [sys.executable, "-m", "smallprint", "train", "--resume", str(run)], capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    saved = json.loads((run / "metrics.json").read_text())
    assert saved["epochs"] >= 1
    metrics, _ = api.evaluate(run, str(tmp_path / "table.parquet"))
    assert metrics.values == pytest.approx(saved["test"]["values"], abs=1e-6), "one process scores as the first did"


def test_from_python_processes_are_started_from_outside(tiny_backbone, labelled_frame, tmp_path):
    own = [f"model.backbone={json.dumps(str(tiny_backbone))}", "tracking.enabled=false"]
    config = load_config(None, [*own, "training.devices=2"])
    with pytest.raises(ConfigError, match="want 2 processes .*, and there is one") as caught:
        api.train(labelled_frame("binary"), config=config, out=tmp_path / "run")
    assert "torchrun" in str(caught.value)
    config = load_config(None, [*own, "training.strategy=fsdp"])
    with pytest.raises(ConfigError, match="fsdp needs GPUs"):
        api.train(labelled_frame("binary"), config=config, out=tmp_path / "other")


def test_a_setting_error_is_said_once(command):
    done = subprocess.run(command("--devices", "2", "--text", "txt"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr.count("Error") == 1
    assert "Traceback" not in done.stderr


def test_four_processes_judge_as_one_does(command, tmp_path):
    subprocess.run(command("--devices", "4", "--epochs", "1"), check=True, capture_output=True)
    run = tmp_path / "run"
    said = json.loads((run / "metrics.json").read_text())["test"]["values"]
    alone = api.evaluate(run, tmp_path / "table.parquet")[0].values
    assert said["average_precision_macro"] == pytest.approx(alone["average_precision_macro"], abs=1e-6)


def test_gradient_checkpointing_changes_no_score(tiny_backbone, labelled_frame, tmp_path):
    scores = []
    for more in ([], ["training.gradient_checkpointing=true"]):
        own = [f"model.backbone={json.dumps(str(tiny_backbone))}", "tracking.enabled=false", "training.precision=fp32"]
        config = load_config(None, [*own, "training.epochs=1", *more])
        run = api.train(labelled_frame("multilabel"), config=config, out=tmp_path / f"run{len(scores)}")
        scores.append(run.test.values["average_precision_macro"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_gradient_checkpointing_of_what_cannot(labelled_frame, tiny_backbone, tmp_path):
    import torch

    from smallprint.core.parts import Parts
    from smallprint.modeling.backbone import load_tokenizer

    class Own(torch.nn.Module):
        hidden_size = 8

        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(500, 8)

        def forward(self, input_ids, attention_mask):
            return self.words(input_ids)

    config = load_config(None, ["training.gradient_checkpointing=true", "tracking.enabled=false"])
    parts = Parts(backbone=Own(), tokenizer=load_tokenizer(str(tiny_backbone)))
    with pytest.raises(ConfigError, match="gradient_checkpointing cannot go with this backbone"):
        api.train(labelled_frame("binary"), config=config, out=tmp_path / "run", parts=parts)
