"""The whole way with tables of words: train, bundle, predict, evaluate, a member of a stack; with an encoder and without."""

import json

import polars as pl
import pytest

import smallprint
from smallprint import api
from smallprint.cli.app import main
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.settings import build_config
from smallprint.families import check_family
from smallprint.inference.evidence import find_evidence


def config_of(encoder="none", **more):
    return build_config(
        {"model": {"backbone": "static", "static": {"encoder": encoder}}, "tracking": {"enabled": False}} | more
    )


def test_from_table_to_answer(tmp_path):
    lines = []
    result = smallprint.train("sample", config=config_of(), out=tmp_path / "run", say=lines.append)
    assert {"manifest.json", "model.safetensors", "words.json"} <= {path.name for path in result.bundle.iterdir()}
    assert result.test.values["f1_macro"] > 0.5
    assert any("pairs fitted in" in line for line in lines)
    engine = smallprint.load(result.run)
    again, _ = api.evaluate(result.bundle, "sample")
    assert again.values == result.test.values
    label = engine.labels.score_names[0]
    assert find_evidence(engine, "You agree to binding arbitration.", label)
    (tmp_path / "new.csv").write_text('clause\nWe may close your account.\n""\n')
    main_exit(
        ["predict", str(result.run), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), "--text", "clause"]
    )
    assert pl.read_csv(tmp_path / "out.csv").height == 2


def main_exit(arguments):
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 0


def test_an_encoder_gives_words_that_train_does_not_have(tmp_path, labelled_frame, tiny_backbone):
    labelled_frame("multilabel", 80).write_parquet(tmp_path / "d.parquet")
    lines = []
    result = smallprint.train(
        str(tmp_path / "d.parquet"), config=config_of(str(tiny_backbone)), out=tmp_path / "run", say=lines.append
    )
    words = json.loads((result.bundle / "words.json").read_text())["words"]
    assert {"hello", "court"} <= set(words)  # of the tiny vocabulary, in no example
    assert any("vocabulary" in line for line in lines)


def test_it_is_a_member_of_a_stack(tmp_path, labelled_frame):
    labelled_frame("multilabel", 80).write_parquet(tmp_path / "d.parquet")
    members = {"words": ["model.backbone=static", "model.static.encoder=none"], "terms": ["model.backbone=tfidf"]}
    config = build_config(
        {"model": {"backbone": "stack"}, "stack": {"members": members, "folds": 2}, "tracking": {"enabled": False}}
    )
    result = smallprint.train(str(tmp_path / "d.parquet"), config=config, out=tmp_path / "run")
    assert smallprint.load(result.run).score(["we may"]).shape == (1, 3)


@pytest.mark.parametrize("model", [{"adapter": "lora"}, {"tfidf": {"cost": 2.0}}, {"head": "mlp"}])
def test_settings_of_others_are_refused(model):
    config = build_config({"model": {"backbone": "static", **model}})
    with pytest.raises(ConfigError, match=f"model.{next(iter(model))}"):
        check_family(config, Parts())
    with pytest.raises(ConfigError, match="model.static cannot go with model.backbone=minilm"):
        check_family(build_config({"model": {"static": {"cost": 2.0}}}), Parts())
