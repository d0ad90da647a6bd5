"""A model that learned from lower-case text with spaces between all tokens, as corpora are published, reads natural spelling too."""

import re

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint.core.settings import build_config
from smallprint.data.read import open_source

ENCODER = {"adapter": "frozen", "head": "svm", "layers": [2, 4, 6]}


def published(text: str) -> str:
    """Gives a text as UNFAIR-ToS spells it: 'You don't agree ("Terms").' is "you do n't agree ( `` terms '' ) ." there."""
    text = re.sub(r"[\u2018\u2019]", "'", text.lower())
    text = re.sub(r"(n't|'(?:s|re|ve|ll|d|m)\b)", r" \1", text)
    text = re.sub(r"[\u201c\"](?=\w)", " `` ", re.sub(r"(?<=[\w.,;:!?])[\u201d\"]", " '' ", text))
    return " ".join(re.sub(r"([.,;:?!()\[\]])", r" \1 ", text).split())


@pytest.mark.parametrize("model", [{"backbone": "tfidf"}, ENCODER], ids=["tfidf", "encoder"])
def test_the_same_clause_gets_nearly_the_same_score(model, tmp_path):
    source = open_source("sample")
    frames = {}
    for split in ("train", "validation", "test"):
        frame = source.read(None).filter(pl.col("split") == split)
        texts = pl.Series("text", [published(text) for text in frame["text"]])
        frames[split] = frame.with_columns(texts).drop("split")
    assert any(" n't" in text or " '' " in text for text in frames["test"]["text"])
    config = build_config({"model": model, "tracking": {"enabled": False}})
    engine = smallprint.load(smallprint.train(frames, config=config, out=tmp_path / "run").bundle)
    natural = source.read(None).filter(pl.col("split") == "test")["text"].to_list()
    learned, other = engine.score(frames["test"]["text"].to_list()), engine.score(natural)
    shouted = engine.score([text.upper() for text in natural])
    for scores in (other, shouted):
        assert np.abs(scores - learned).mean() < 0.005
        assert ((scores > 0.5) == (learned > 0.5)).all(axis=1).mean() >= 0.98
