import numpy as np
import pytest
from sklearn.metrics import f1_score

from smallprint.core.errors import DataError
from smallprint.evaluation.lexglue import lexglue_f1, lexglue_f1_of_decisions, with_none


def nine_columns(rows):
    """As LexGLUE does it: a column of zeros, set to 1 where the others have none."""
    out = np.zeros((rows.shape[0], rows.shape[1] + 1), dtype=np.int32)
    out[:, :-1] = rows
    out[:, -1] = (rows.sum(axis=1) == 0).astype(np.int32)
    return out


@pytest.mark.parametrize("seed", range(8))
def test_equals_scikit_learn_on_random_predictions(seed):
    rng = np.random.default_rng(seed)
    targets = (rng.random((50, 8)) < 0.1).astype(np.int8)
    scores = np.clip(targets * 0.4 + rng.random((50, 8)) * 0.6, 0, 1).astype(np.float32).round(1)
    truth, decided = nine_columns(targets), nine_columns((scores > 0.5).astype(int))
    expected = [f1_score(truth, decided, average=average, zero_division=0) for average in ("micro", "macro")]
    assert lexglue_f1(targets, scores) == pytest.approx(tuple(expected))


def test_a_case_by_hand():
    """Two labels A and B; "none" is the third column.

    text  truth  scores A, B  said                        A      B       none
    1     A      0.9  0.1     A                           hit
    2     none   0.2  0.5     none (0.5 is not > 0.5)                    hit
    3     B      0.3  0.4     none                               missed  false
    4     none   0.1  0.8     B                                  false   missed
    5     A, B   0.7  0.6     A, B                        hit    hit
    6     A      0.9  0.9     A, B                        hit    false

    F1 = 2 hits / (said + true). A: 3 hits, 3 said, 3 true: 6/6 = 1. B: 1 hit, 3 said, 2 true: 2/5 = 0.4.
    none: 1 hit, 2 said, 2 true: 2/4 = 0.5. Macro: (1 + 0.4 + 0.5) / 3 = 1.9/3.
    Micro: 3 + 1 + 1 = 5 hits, 3 + 3 + 2 = 8 said, 3 + 2 + 2 = 7 true: 10/15 = 2/3.
    """
    targets = np.array([[1, 0], [0, 0], [0, 1], [0, 0], [1, 1], [1, 0]])
    scores = np.array([[0.9, 0.1], [0.2, 0.5], [0.3, 0.4], [0.1, 0.8], [0.7, 0.6], [0.9, 0.9]])
    assert lexglue_f1(targets, scores) == pytest.approx((2 / 3, 1.9 / 3))


def test_saying_nothing_about_fair_texts_is_right():
    targets = np.zeros((4, 8), dtype=np.int8)
    micro, macro = lexglue_f1(targets, np.zeros((4, 8)))
    assert micro == 1.0
    assert macro == pytest.approx(1 / 9)
    assert with_none(targets)[:, -1].all()
    assert lexglue_f1_of_decisions(targets, targets) == (micro, macro)


def test_misfits_are_errors():
    with pytest.raises(DataError, match="shape"):
        lexglue_f1(np.zeros((3, 2)), np.zeros((3, 3)))
