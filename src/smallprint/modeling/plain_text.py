"""One spelling for tokenised and natural text. In: a text. Out: its words in lower case, without spacing's accidents.

Joined by spaces for what counts n-grams itself, or as a list, which takes a third of the time.

Published corpora write "you do n't agree ( `` terms '' ) ." where people write 'You don't agree ("Terms").' A model of
words that learns from the one shall answer the same to the other.
"""

from __future__ import annotations

import re

_QUOTES = re.compile("[\\u2018\\u2019\\u02bc`]")
# from the first space of a run alone, and all of it: tried from each, a run of n takes n * n steps
_CONTRACTION = re.compile(r"(?<!\s)\s++(n't|'(?:s|re|ve|ll|d|m)\b)")
_BRACKET = re.compile(r"-[lr][rsc]b-")
_WORD = re.compile(r"[\w%$€£]+(?:(?<=\w)'(?=\w)[\w%$€£]+)*")
_BETWEEN = re.compile(r"(?:[^\w'%$€£]|(?<!\w)'|'(?!\w))+")


def plain_words(text: str) -> str:
    """Gives the words, lower case, one space between: contractions joined, punctuation, quotes and brackets gone.

    >>> plain_words("You do n't agree ( `` Terms '' ) .") == plain_words('You don\\u2019t agree (\\u201cTerms\\u201d).')
    True
    """
    text = _BRACKET.sub(" ", text.lower().replace("''", " ").replace("``", " "))
    text = _CONTRACTION.sub(r"\1", _QUOTES.sub("'", text))
    return _BETWEEN.sub(" ", text).strip()


def word_list(text: str) -> list[str]:
    """Gives the words that `plain_words` joins.

    >>> word_list("You do n't agree ( `` Terms '' ) .")
    ['you', "don't", 'agree', 'terms']
    """
    text = text.lower()
    if not text.isascii() or "'" in text or "`" in text or "-" in text:  # few have any of these
        text = _BRACKET.sub(" ", text.replace("''", " ").replace("``", " "))
        text = _CONTRACTION.sub(r"\1", _QUOTES.sub("'", text))
    return _WORD.findall(text)


__all__ = ["plain_words", "word_list"]
