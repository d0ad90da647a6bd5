"""Text that a page can hold. In: any string. Out: the same without characters that HTML or SVG forbids, or shortened.

It escapes nothing: that is the template's work.
"""

from __future__ import annotations

import re

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""The text with every control character, lone surrogate and non-character as U+FFFD; line breaks and tabs stay.

    >>> printable("a\x00b\n") == "a\ufffdb\n"
    True
    """
    return FORBIDDEN.sub("\ufffd", text)


def shorten(text: str, length: int) -> str:
    """The text, or its first `length` - 1 characters and an ellipsis.

    >>> shorten("unilateral change", 11)
    'unilateral…'
    """
    return text if len(text) <= length else text[: max(length - 1, 0)].rstrip() + "…"
