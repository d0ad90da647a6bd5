"""Bare headings: titles are told from clauses, and in doubt a line counts as a clause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallprint.documents.document import Document
from smallprint.documents.headings import CLAUSE, bare_headings, looks_like_title
from smallprint.documents.read import read_document
from smallprint.documents.sentences import split_sentences


def bare(document: Document) -> list[str]:
    spans = split_sentences(document.text)
    return [document.text[slice(*spans[i])] for i in sorted(bare_headings(document, spans))]


@pytest.mark.parametrize(
    "line",
    [
        "Limitation of Liability",
        "14. ARBITRATION",
        "16. Modification of the Solution and these Terms; Termination",
        "Section 5 – Choice of Law",
        "(h) Dispute Resolution & Governing Law.",
        "IV. Haftung und Gewährleistung",
        "THIRD-PARTY LINKS, CONTENT AND PROGRAMMING.",
    ],
)
def test_titles(line):
    assert looks_like_title(line)
    assert bare(Document("a", f"It is so.\n{line}\nYou agree to it.")) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "WE MAY CLOSE YOUR ACCOUNT",
        "3. We Terminate Accounts",
        "ALL SALES FINAL",
        "NO REFUNDS.",
        "YOUR USE CONSTITUTES ACCEPTANCE",
        "2. remove your content at our sole discretion",
        "Suspension of your account without notice",
        "LOSS OF PROFITS, GOODWILL, USE, DATA AND",
        "利用規約の変更",
        "1234",
        "Governing Law: California",
        "Section 5: Applicable Law: Ireland",
        "Account Termination at Our Sole Discretion",
        "Exclusive Jurisdiction Of The Courts Of Ireland.",
    ],
)
def test_clauses_are_no_titles(line):
    assert not looks_like_title(line)
    assert bare(Document("a", f"It is so.\n{line}\nYou agree to it.")) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("You give up:", "You agree."),
        ("Access; or", "You agree."),
        ("You agree to the", "You agree."),
        ("WE ARE NOT LIABLE FOR ANY INDIRECT, SPECIAL OR INCIDENTAL DAMAGES WHATEVER", "You agree."),
        ("You agree.", "of all kinds."),
    ],
)
def test_a_part_of_a_list_or_a_broken_line_is_no_heading(before, after):
    assert bare(Document("a", f"{before}\nLoss of Profits\n{after}")) == []


def test_a_title_that_opens_its_paragraph():
    text = "Choice of Law. The laws of England apply.\nYou agree. Choice of Law. It is so."
    assert bare(Document("a", text)) == ["Choice of Law."]


def test_what_a_file_marks_is_a_heading_unless_it_says_something():
    page = (
        b"<h2>Changes to prices</h2><p>Changes to prices</p><h2>We may close your account</h2><h3>Can I leave?</h3><h3>"
        + "利用規約".encode()
        + b"</h3><p>Yes, you can.</p>"
    )
    assert bare(read_document(page, "a.html")) == ["Changes to prices", "Can I leave?"]
    assert bare(read_document(b"# Changes to prices\n\nWe may.\n\n## You agree to it\n", "a.md")) == [
        "Changes to prices"
    ]
    assert bare(read_document(b"Changes to prices\nWe may.", "a.txt")) == []


@given(st.sampled_from(sorted(CLAUSE)), st.sampled_from(["{}", "14. {}", "Rights {} Content", "{} Law."]))
def test_no_line_with_a_word_of_a_clause_is_a_title(word, form):
    line = form.format(word.title())
    if len(word) > 1:  # "i" alone after a number is a mark
        assert not looks_like_title(line)
