from __future__ import annotations

import json
import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallprint.documents.sentences import LONGEST, split_sentences

DATA = Path(os.environ.get("SMALLPRINT_DATA", Path(__file__).parents[3] / "shared")) / "tos_documents"
BOUNDARIES = Path(__file__).with_name("boundaries.jsonl")


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    "sentences",
    [
        ["We may end it.", "You agree."],
        ["Snap Inc. may change these Terms.", "See Snap Inc. (the “Company”) for more."],
        ["It binds Acme Inc.", "These Terms apply."],
        ["Services (e.g. Prime, i.e. the paid one) are ours.", "See Sec. 3.2 and Art. 5 of No. 7."],
        ["1. ELECTRONIC COMMUNICATIONS"],
        ["(a) You shall pay.", "(b) We may not."],
        ["1.2. Fees are due on 1.5.2024 at 10.30 a.m. and cost 3.5 %."],
        ["He said “No.”", "Then he left."],
        ["Is that so?!", "Yes!", "Well… perhaps."],
        ["Visa U.S.A. Inc. (“Visa”) runs it."],
        ["Write to legal@example.com or www.example.com/terms.html today.", "Thanks."],
        ["WE ARE NOT LIABLE.", "TO THE EXTENT PERMITTED, ACME, INC. AND ITS AFFILIATES DISCLAIM ALL."],
        ["Mr. J. R. Smith et al. v. Jones is cited.", "It holds."],
        ["本規約に同意します。", "利用者は責任を負います。"],
        ["هل توافق؟", "نعم نوافق."],
        ["हम सहमत हैं।", "आप भी।"],
        ["Wir haften nicht, z.B. bei Verlust.", "Ä gilt auch."],
    ],
)
def test_sentences_of_one_paragraph(sentences):
    joined = "" if not sentences[0][0].isascii() and "。" in sentences[0] else " "
    assert parts(joined.join(sentences)) == sentences


def test_line_ends_part():
    assert parts("A heading\nof two lines\r\n\r\n  Then this.\n") == ["A heading", "of two lines", "Then this."]


@given(st.text(alphabet=st.sampled_from(list('aB1.!? \n\t()"”。é\u2028\x0b\x85\u3000')), max_size=200))
@example("")
@example(" \n ")
def test_spans_hold_all_that_is_not_white(text):
    spans = split_sentences(text)
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())


@pytest.mark.parametrize("unit", ["word ", "x", "a. b ", "e.g. ", "((((", "....... "])
def test_a_sentence_of_a_megabyte_takes_linear_time(unit):
    text, spent = unit * (1_000_000 // len(unit)), []
    for part in (
        text[: len(text) // 8],
        text,
    ):  # of the processor, whatever else it does; by squares it would be 64 times as much
        start = time.process_time()
        spans = split_sentences(part)
        spent.append(time.process_time() - start)
    assert spent[1] < 30 * max(spent[0], 0.05)
    assert max(end - begin for begin, end in spans) <= LONGEST
    assert "".join(text[begin:end].replace(" ", "") for begin, end in spans) == text.replace(" ", "")


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder named by SMALLPRINT_DATA")
def test_boundaries_that_were_judged_by_hand():
    """Every stop within a paragraph at the beginning of six terms of service, read one by one."""
    judged = [json.loads(line) for line in BOUNDARIES.read_text(encoding="utf-8").splitlines()]
    assert len(judged) >= 300
    texts = {name: (DATA / name).read_text(encoding="utf-8") for name in {row["document"] for row in judged}}
    ends = {name: {end for _, end in split_sentences(text)} for name, text in texts.items()}
    assert all(texts[row["document"]][row["at"] :].lstrip().startswith(row["after"]) for row in judged)
    given = [row["at"] in ends[row["document"]] for row in judged]
    right = sum(row["ends"] and said for row, said in zip(judged, given, strict=True))
    f1 = 2 * right / (sum(row["ends"] for row in judged) + sum(given))
    assert f1 >= 0.97
