import pytest

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.run import create_run, open_run
from smallprint.core.settings import build_config


def test_a_run_can_be_opened_with_its_settings(tmp_path):
    config = build_config({"training": {"epochs": 2}, "tracking": {"root": str(tmp_path)}})
    run = create_run(config, "sample")
    assert run.folder.parent == tmp_path
    assert open_run(run.folder).config == config
    run.update(status="finished")
    assert open_run(run.folder).state == {"data": "sample", "status": "finished"}


def test_two_runs_never_share_a_folder(tmp_path):
    config = build_config({"tracking": {"root": str(tmp_path)}})
    assert create_run(config, "sample").folder != create_run(config, "sample").folder


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    create_run(Config(), "sample", tmp_path / "r")
    with pytest.raises(ConfigError, match="--resume"):
        create_run(Config(), "sample", tmp_path / "r")


def test_what_is_no_run_is_not_resumed(tmp_path):
    with pytest.raises(TrainingError, match="holds no run"):
        open_run(tmp_path)
