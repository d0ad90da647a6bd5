"""Which rows are trained, in which order, and what is refused."""

import pytest

from smallprint.bench.systems import DEFAULT_ROWS, QUICK_ROWS, WITH_BASE_ROWS, choose_systems
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.settings import load_config
from smallprint.families import check_family


def test_each_row_stands_once_in_the_order_that_was_asked_for():
    assert [system.name for system in choose_systems(["stack", "linear", "stack"])] == ["stack", "linear"]


def test_a_teacher_is_trained_before_what_learns_from_it():
    names = [system.name for system in choose_systems(["distilled", "best"], "/somewhere")]
    assert names == ["best", "distilled"]


@pytest.mark.parametrize("rows", [DEFAULT_ROWS, WITH_BASE_ROWS, QUICK_ROWS])
def test_settings_of_every_row_are_known(rows):
    for system in choose_systems(list(rows), "/somewhere", "/small.gguf"):
        config = load_config(None, system.settings)
        check_family(config, Parts())
        assert ("/somewhere" in str(config)) == system.needs_base


def test_an_unknown_row_names_those_there_are():
    with pytest.raises(ConfigError, match=r"no row 'bertt'(.|\n)*linear, frozen"):
        choose_systems(["bertt"])


@pytest.mark.parametrize("row", ["mpnet", "best"])
def test_rows_of_base_size_need_its_weights(row):
    with pytest.raises(ConfigError, match=f"The row '{row}' has no weights(.|\n)*--mpnet"):
        choose_systems([row])
    assert "/somewhere" in str(choose_systems([row], "/somewhere")[0].settings)


def test_a_backbone_is_a_row_under_the_papers_protocol():
    [bert, linear] = choose_systems(["legal-bert", "tfidf-svm"])
    assert "model.backbone=legal-bert" in bert.settings
    assert "training.learning_rate=3e-5" in bert.settings
    assert linear.settings == ("model.backbone=tfidf",)
    check_family(load_config(None, bert.settings), Parts())
