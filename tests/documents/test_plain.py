"""Text and Markdown that was made to be slow: one upload must not hold the server, which reads these in its own process."""

from __future__ import annotations

import time

import pytest

from smallprint.documents.read import read_document
from smallprint.documents.sentences import split_sentences

N = 100_000
SECONDS = 5  # of the processor; what takes steps by the square of its length takes minutes


def spent(content: str, name: str) -> float:
    start = time.process_time()
    document = read_document(content.encode(), name)
    split_sentences(document.text)
    return time.process_time() - start


@pytest.mark.parametrize(
    "content",
    [
        "." * N + "x",
        "x" + "?!" * N + "x",
        '."' * N + "x",
        "." * N + '"' * N + "x",
        "。" * N + "x",
        "\n".join(["We may end it at any time and without telling you, by what we make of the word"] * (N // 10)),
    ],
)
def test_text_takes_linear_time(content):
    assert spent(content, "a.txt") < SECONDS


@pytest.mark.parametrize(
    "content",
    [
        "# a" + " " * N + "x",
        "# a" + "# " * N + "x",
        "# a" + " #" * N,
        " " * N + "x",
        "|" + " " * N + "x",
        "|-" * N + "x",
        "- " * N + "x",
        "-" * N + "x",
        "[" * N,
        "![" * N,
        "[a](" * N,
        "[a]((" * N,
        "[a]((b)" * N,
        "__a " * N,
        "**a __b " * N,
        "*" * N + "a",
        "*_" * N + "a",
        " _a" * N,
        "_a " * N,
        "a" + "`" * N + "a",
        "`a" * N,
    ],
)
def test_markdown_takes_linear_time(content):
    assert spent(f"{content}\n", "a.md") < SECONDS


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("We **may** __end__ *it* _now_ `here`.", "We may end it now here."),
        ("***All*** of **it, *and* more**.", "All of it, and more."),
        ("See [the *terms*](http://x/a) and ![seal](b.png) [![two](c.png)](d).", "See the terms and seal two."),
        ('See [law](http://x/Law_(civil) "a title"), always.', "See law, always."),
        (
            "Items [1] (a) and [see [2]](c) cost 2 * 3 * 4 or a_b_c.",
            "Items [1] (a) and [see [2]](c) cost 2 * 3 * 4 or a_b_c.",
        ),
        ("An open __mark and __two__ and [one [two](x).", "An open __mark and two and [one two."),
        ("## Fees # and more ##", "Fees # and more"),
        ("# C#", "C"),
        ("#hash", "#hash"),
        ("a\n\n| --- | :-: |\n\n- - -\n\n***\n\n--|--\n\nb", "a\nb"),
    ],
)
def test_marks_of_markdown(written, read):
    assert read_document(written.encode(), "a.md").text == read
