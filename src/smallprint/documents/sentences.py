"""Where sentences begin and end. In: a text whose paragraphs are lines. Out: half-open spans; `text[start:end]` is the sentence.

Made for legal text: section numbers, enumerations, "Inc.", "e.g." and long blocks of capitals. A stop ends a sentence unless what
stands before it is known to be followed by more, or what follows cannot begin one. Linear in the text; any language splits by its
own stops.
"""

from __future__ import annotations

import re

LONGEST = 10_000  # characters: a run without a stop is cut at white space
STOP = re.compile(  # a run is tried from its first stop alone, and as a whole: from within it would end no better
    r"(?P<stop>(?<![.!?\u2026])[.!?\u2026]++|[\u061f\u06d4\u0964\u0965\u1362])(?P<close>[\"'\u201d\u2019\u00bb)\]]*+)(?=\s|$)"
    r"|(?P<wide>[\u3002\uff01\uff1f\uff0e]+)[\"'\u201d\u2019\u300d\u300f\uff09)\]]*"
)
PARAGRAPH = re.compile(r"[^\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_NEVER = """
e.g i.e eg ie cf viz vs v mr mrs ms dr prof hon rev st art arts sec secs no nos nr para paras pp pt vol ch cl fig sched reg regs approx
incl esp resp bzw z.b d.h u.a s abs ziff vgl ca p.ex m mme mlle n
"""
_SOMETIMES = """
inc ltd co corp llc l.l.c plc jr sr u.s u.k u.s.a e.u etc bros assn dept p.o n.a s.a b.v n.v gmbh a.m p.m
"""
_STARTERS = """
a an the this that these those we you your our it its they he she i if when where unless until in on at by for from to any all no each
such please except however further furthermore additionally notwithstanding nothing use subject under upon as with without
some other there here user users service services customers do does may
"""
NEVER = frozenset(_NEVER.split())  # followed by a name, a number or more of the same sentence
SOMETIMES = frozenset(_SOMETIMES.split())  # end a sentence only if what follows begins one
STARTERS = frozenset(_STARTERS.split())
INITIAL = re.compile(r"(?:^|[\s(\u201c\"'])[A-Z]$")
NUMBER = re.compile(r"(?:^|\s)[(\[]?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,5})$")
FIRST_WORD = re.compile(
    r"(?:\s*\((?:[a-z]|[ivx]+|\d{1,2})\))?[\s\"'\u201c\u2018\u00ab(\[\u2022*\u2013\u2014-]*([^\W_]+)"
)
LAST_WORD = re.compile(r"[^\s()\[\]\"'\u201c\u201d\u2018\u2019,;:/]+$")


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Gives the spans of all sentences in order, white space around them left out; together they hold all that is not white.

    Args:
        text: Any; line ends part sentences.
    """
    spans: list[tuple[int, int]] = []
    for paragraph in PARAGRAPH.finditer(text):
        start = paragraph.start()
        for match in STOP.finditer(text, paragraph.start(), paragraph.end()):
            if match.end() > start and (match["wide"] or _ends(text, start, match, paragraph.end())):
                _add(spans, text, start, match.end())
                start = match.end()
        _add(spans, text, start, paragraph.end())
    return spans


def _ends(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Says whether a stop ends the sentence that begins at `start`."""
    following = FIRST_WORD.match(text, match.end(), min(end, match.end() + 60))
    if following is None:
        return True
    word, stop, before = following[1], match["stop"], text[max(start, match.start() - 40) : match.start()]
    if word[0].islower():  # no sentence begins small
        return False
    if stop != ".":
        return True
    last = LAST_WORD.search(before)
    token = (last[0] if last else "").lower().lstrip(".")
    if match["close"]:
        return True
    if token in NEVER or (INITIAL.search(before) and token != "i"):
        return False
    # "1." or "(a)" at the beginning numbers what follows
    if (
        not match["close"]
        and NUMBER.search(before)
        and not text[start : match.start()].strip()[:-1].strip("0123456789.()[]ivxIVX ")
    ):
        return len(text[start : match.start()].strip()) > 12
    if token in SOMETIMES:
        return word.lower() in STARTERS
    return True


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    """Adds a span without the white space around it, in pieces where it is too long."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONGEST:
        cut = text.rfind(" ", start + LONGEST // 2, start + LONGEST)
        cut = cut if cut > 0 else start + LONGEST
        _add(spans, text, start, cut)
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        spans.append((start, end))


__all__ = ["split_sentences"]
