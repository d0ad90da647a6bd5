"""Which lines of a document are headings and nothing else: titles of clauses, no clauses. In: a document. Out: their places.

Where that is in doubt a line is left for a clause: a title that is judged costs its reader a glance, a clause that is not costs more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from smallprint.documents.document import Document

MOST_WORDS = 14
LONGEST, LONGEST_NUMBERED = 60, 80  # characters of a title that no mark tells
MARK = re.compile(
    r"^(?:(?:article|section|clause|part|exhibit|schedule|annex)\s+[\divxlc.]+[.):]?|§?\s*\(?\d+(?:\.\d+)*[.)]?|\(?(?:[ivxlc]+|[a-z])[.)])"
    r"\s+(?:[–—-]\s+)?",
    re.IGNORECASE,
)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CLAUSE = """
may might shall should must will would can cannot could is are was were be been has have had do does did don't won't can't isn't
no not never without only all any every each neither none i we you they he she it us me them
agree agrees agreed accept accepts consent consents waive waives reserve reserves acknowledge acknowledges represent represents
constitutes constitute means apply applies govern governs bind binds include includes require requires remain remains
terminates suspends disclaims excludes removes sole solely exclusive exclusively discretion courts
wir sie ihr kann können darf dürfen muss müssen wird werden haftet haften ist sind nicht kein keine nur
nous vous ils peut pouvons pouvez doit devez est sont ne pas sans nosotros usted puede podemos debe es son
"""
CLAUSE = frozenset(_CLAUSE.split())  # a line with one of these says something
_SMALL = """
a an the and or of to in on at by for from with as into under upon over about between per via but nor
und oder der die das von zu et ou de la
"""
SMALL = frozenset(_SMALL.split())  # in none of these a title ends
PLAIN = SMALL | {"these", "this", "that", "your", "our", "their"}  # without a capital in a title too
GOES_ON = tuple(",;:(–—-")


def bare_headings(document: Document, spans: Sequence[tuple[int, int]]) -> set[int]:
    """Gives the sentences, by index, that are a heading and nothing else.

    These are the headings that a file marks (HTML, DOCX, Markdown) unless they say something by themselves ("We may close your account"),
    and, whatever the file, a line or the first sentence of one in the form of a title: in capitals, or with a capital at every longer word,
    and no part of a list or of a broken line.

    Args:
        document: Any.
        spans: Its sentences, in order, as `split_sentences` gives them.
    """
    lines, places, start = document.text.split("\n"), {}, 0
    for i, line in enumerate(lines):
        places[start] = i
        start += len(line) + 1
    marked = set(document.headings) if document.marked else set()
    found = set()
    for n, (start, end) in enumerate(spans):
        i = places.get(start, -1)
        if i < 0:
            continue
        text = document.text[start:end]
        if (start, end) in marked:
            bare = not says_something(text)
        else:
            after = lines[i + 1] if text == lines[i] and i + 1 < len(lines) else ""
            bare = looks_like_title(text) and not _goes_on(lines[i - 1] if i else "", text, after)
        if bare:
            found.add(n)
    return found


def looks_like_title(line: str) -> bool:
    """Says whether a line has the form of a title: short, every longer word with a capital, and nothing that a clause has."""
    mark = MARK.match(line)
    title = line[mark.end() :] if mark else line
    words = WORD.findall(title)
    if not words or len(line) > (LONGEST_NUMBERED if mark else LONGEST) or says_something(line):
        return False
    long = [word for word in words if len(word) > 3 and word.lower() not in PLAIN]
    capitals = title.isupper() or (words[0][0].isupper() and all(word[0].isupper() for word in long))
    return capitals and words[-1].lower() not in SMALL and title[-1] not in ",;!?"


def says_something(line: str) -> bool:
    """Says whether a heading may be a clause all the same; a question is none. In scripts without capitals every heading may be one."""
    if line.endswith("?"):
        return False
    mark = MARK.match(line)
    words = WORD.findall(line[mark.end() :] if mark else line)
    told = re.search(r"\w:\s+\w", line)  # "Governing Law: Ireland" names the law
    return (
        bool(told)
        or len(words) > MOST_WORDS
        or any(word.lower() in CLAUSE for word in words)
        or line.lower() == line.upper()
    )


def _goes_on(before: str, line: str, after: str) -> bool:
    """Says whether a line stands in a list or a broken sentence, by the lines around it."""
    words = WORD.findall(before)
    listed = before.endswith(GOES_ON) or bool(words and before[-1].isalnum() and words[-1].lower() in SMALL)
    broken = len(before) > LONGEST and before[-1].isalnum() and not MARK.match(line)
    return listed or broken or (after[:1].islower() and not MARK.match(after))


__all__ = ["bare_headings", "looks_like_title", "says_something"]
