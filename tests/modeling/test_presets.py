from pathlib import Path

import pytest
from transformers import CONFIG_MAPPING

from smallprint.bench.published import read_published
from smallprint.core.config import ModelConfig
from smallprint.modeling.presets import find_preset, nearest_preset, read_presets, render_presets

PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"


def test_every_published_row_has_its_preset():
    wanted = {row["model"] for row in read_published()} - {"RoBERTa (large)"}
    assert {preset.published for preset in read_presets().values() if preset.published} == wanted
    checkpoints = {row["model"]: row["checkpoint"].split("/")[-1] for row in read_published()}
    for preset in read_presets().values():
        if preset.published:
            assert preset.checkpoint.split("/")[-1] == checkpoints[preset.published]


def test_every_line_is_whole():
    assert len(read_presets()) >= 25
    for name, preset in read_presets().items():
        assert name == name.lower()
        assert "/" not in name, "a name with a slash is the Hub's"
        if preset.architecture != "tfidf":
            assert preset.architecture in CONFIG_MAPPING
            assert preset.licence
            assert preset.parameters_m > 0
            assert preset.max_length >= 512
        assert preset.checkpoint.count("/") == 1 or name in ("minilm", "tfidf-svm")


def test_names():
    assert find_preset("legal-bert").checkpoint == "nlpaueb/legal-bert-base-uncased"
    assert find_preset("nlpaueb/legal-bert-base-uncased") is None
    assert nearest_preset("legal-brt") == "legal-bert"
    assert nearest_preset("Roberta") == "roberta"
    assert [nearest_preset(name) for name in ("tfdif", "Statik", "stak")] == ["tfidf", "static", "stack"]
    assert nearest_preset("something else") is None
    assert ModelConfig(backbone="tfidf-svm").family == "linear"
    assert ModelConfig(backbone="bert").family == "encoder"


@pytest.mark.skipif(not PAGE.exists(), reason="the docs are not beside the tests")
def test_the_page_has_the_table():
    assert render_presets() in PAGE.read_text(encoding="utf-8")
