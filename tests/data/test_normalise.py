import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.data.normalise import normal_forms, normalised, text_hashes


def form(*texts: str | None) -> list[str | None]:
    return (
        pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        .select(normalised(pl.col("text")))
        .to_series()
        .to_list()
    )


@pytest.mark.parametrize(
    "written",
    [
        "WE MAY END YOUR ACCOUNT",
        "  We may end\n\tyour account. ",
        "we may-end “your” account!",
        "ｗｅ may end your account",
        "we may end your\u00a0acc\u00adount",
    ],
)
def test_the_way_a_text_is_written_does_not_count(written):
    assert form(written) == ["we may end your account"]


def test_words_numbers_symbols_and_order_count():
    texts = ["pay 10 now", "pay 11 now", "now pay 10", "pay $ 10 now", "pay10now"]
    assert len(set(form(*texts))) == len(texts)


def test_texts_of_punctuation_alone_stay_apart_and_null_stays_null():
    assert form("?", "!", " ? ", None, "") == ["?", "!", "?", None, ""]


@given(st.text())
def test_a_normal_form_is_its_own_normal_form(text):
    once = form(text)
    assert form(*once) == once


def test_hashes_are_these_on_every_machine():
    hashes = text_hashes(["We may end your account.", "we may END your account", "", "Straße"])
    assert hashes.dtype == np.uint64
    assert hashes[0] == hashes[1]
    assert [int(value) for value in hashes[1:]] == STORED


def test_hashes_take_a_series_and_no_rows():
    assert text_hashes(pl.Series(["a", "b"])).tolist() == text_hashes(["a", "b"]).tolist()
    assert text_hashes([]).shape == (0,)


STORED = [13766084734884100641, 14611651652813337607, 16318256141500636212]


@given(st.lists(st.one_of(st.none(), st.text(), st.text(alphabet=st.characters(max_codepoint=127)))))
def test_forms_made_by_columns_are_those_of_the_rule(texts):
    assert normal_forms(pl.Series("text", texts, dtype=pl.String)).to_list() == form(*texts)
