import numpy as np
import pytest

from smallprint.core.errors import DataError
from smallprint.data.labels import LabelSet
from smallprint.inference.engine import Engine
from smallprint.inference.evidence import MOST_PARTS, Evidence, find_evidence, strongest


class Words:
    """Scores by words: 'arbitrate' speaks for the first label, 'never' against it, 'law' for the second."""

    max_length, n_truncated = None, 0

    def __init__(self):
        self.asked = 0

    def score(self, texts):
        self.asked += len(texts)
        logits = [
            [2.0 * ("arbitrate" in text) - 1.0 * ("never" in text) - 1, 1.0 * ("law" in text) - 1] for text in texts
        ]
        return (1 / (1 + np.exp(-np.array(logits)))).astype(np.float32)


@pytest.fixture
def engine():
    return Engine(Words(), LabelSet("multilabel", ["Arbitration", "Law"]), np.array([0.5, 0.5]))


def test_weights_are_what_the_logit_loses(engine):
    text = "You never arbitrate, by law."
    found = find_evidence(engine, text, "Arbitration")
    assert [text[part.start : part.end] for part in found] == ["You", "never", "arbitrate", "by", "law"]
    assert [part.weight for part in found] == pytest.approx([0, -1, 2, 0, 0], abs=1e-5)
    other = {text[part.start : part.end]: part.weight for part in find_evidence(engine, text, "Law")}
    assert other["law"] == pytest.approx(1, abs=1e-5)
    assert other["arbitrate"] == pytest.approx(0, abs=1e-5)


def test_a_long_text_costs_no_more_than_a_bound(engine):
    text = "word " * 5000 + "arbitrate"
    found = find_evidence(engine, text, "Arbitration")
    assert engine.scorer.asked <= MOST_PARTS + 1
    assert max(found, key=lambda part: part.weight).end == len(text)


def test_strongest_words():
    parts = [Evidence(0, 1, 0.1), Evidence(2, 3, 5.0), Evidence(4, 5, -3.0), Evidence(6, 7, 3.0), Evidence(8, 9, 0.2)]
    assert strongest(parts) == [parts[1], parts[3]]
    assert strongest(parts, share=1.0, most=3) == [parts[1], parts[3], parts[4]]
    assert strongest([parts[2]]) == []


def test_nothing_to_take_out_and_unknown_labels(engine):
    assert find_evidence(engine, " ... ", "Law") == []
    with pytest.raises(DataError, match="no label 'Lawful'"):
        find_evidence(engine, "text", "Lawful")
