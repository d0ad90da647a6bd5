"""Web pages. In: bytes. Out: a document of the main text, a block a line. Nothing is fetched, and nothing runs.

Menus, headers of the site, footers, scripts, controls of forms and what is hidden are left out by what the page says (nav, aside, header
and footer outside of the text, roles), not by guessing which paragraphs matter: every clause must be read.
"""

from __future__ import annotations

from typing import Any

from smallprint.core.errors import DocumentError
from smallprint.core.extras import import_extra
from smallprint.documents.document import Builder, Document
from smallprint.documents.plain import decode

_DROPPED = """
script style template noscript nav aside svg math iframe object embed input select datalist button textarea head dialog menu canvas audio
video
"""
_BLOCKS = """
html head body main article section nav aside header footer hgroup h1 h2 h3 h4 h5 h6 address p div center blockquote pre listing xmp
plaintext figure figcaption details summary dialog search form fieldset legend optgroup option ul ol menu dir li dl dt dd table caption
colgroup col thead tbody tfoot tr td th br hr frameset noframes
"""
DROPPED = frozenset(_DROPPED.split())
BLOCKS = frozenset(_BLOCKS.split())  # as browsers lay them out; every other tag, known or not, stands in a line
SITE = frozenset({"header", "footer"})  # of the page, unless they stand inside of the text
TEXT = frozenset({"main", "article"})
NEAR = 3  # steps below the body
ROLES = frozenset({"navigation", "banner", "contentinfo", "search", "complementary", "dialog", "alertdialog"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
MAIN = ("//main", "//*[@role='main']", "//article")
ENOUGH = 0.5  # of the page's text: a main part with less of it is not taken for the whole


def read_html(content: bytes, name: str) -> Document:
    """Gives the document of a web page.

    Raises:
        DocumentError: It has no text.
        MissingExtraError: lxml is not installed.
    """
    html = import_extra("lxml.html", "Web pages need", "documents")
    text, notes = decode(content, name)
    # the parser is told the encoding: what the page claims of itself was settled when it was decoded
    parser = html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except Exception as error:  # lxml has many
        raise DocumentError(
            f"{name} cannot be read as a web page ({error}).", "HTML", "Open and save it in a browser."
        ) from None
    if any("xcessive depth" in entry.message for entry in parser.error_log):
        raise DocumentError(
            f"{name} nests its tags too deeply to be read whole.", "a web page as people write them", "Save it as text."
        )
    body = root.find("body")
    whole = _walk(root if body is None else body)
    chosen = whole
    for path in MAIN:
        parts = root.xpath(path)
        if len(parts) == 1:
            main = _walk(parts[0])
            if main.length >= ENOUGH * whole.length:
                chosen = main
            break
    chosen.notes += notes
    return chosen.build(name)


def _walk(root: Any) -> Builder:
    """Gathers the text of an element block by block, without recursion: pages may nest as deep as they like."""
    builder = Builder(marked=True)
    waiting: list[str] = []
    heading = 0

    def flush() -> None:
        builder.add("".join(waiting), heading=heading > 0)
        waiting.clear()

    # each entry: an element to enter, or one to leave
    stack: list[tuple[Any, bool]] = [(root, True)]
    while stack:
        element, entering = stack.pop()
        tag = element.tag if isinstance(element.tag, str) else ""
        block = tag in BLOCKS
        if not entering:
            if block:
                flush()
            heading -= tag in HEADINGS
            if element is not root and element.tail:
                waiting.append(element.tail)
            continue
        if not tag or _left_out(element, tag, root):
            if block:
                flush()
            if element is not root and element.tail:
                waiting.append(element.tail)
            continue
        if block:
            flush()
        heading += tag in HEADINGS
        if element.text:
            waiting.append(element.text)
        stack.append((element, False))
        stack.extend((child, True) for child in reversed(element))
    flush()
    return builder


def _left_out(element: Any, tag: str, root: Any) -> bool:
    if (
        tag in DROPPED
        or element.get("role") in ROLES
        or element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
    ):
        return True
    style = (element.get("style") or "").replace(" ", "").lower()
    if "display:none" in style or "visibility:hidden" in style:
        return True
    return tag in SITE and element is not root and _of_site(element, root)


def _of_site(element: Any, root: Any) -> bool:
    """Says whether a header or footer stands right below the body or a div of it, and in no part that is the text."""
    for _ in range(NEAR):
        element = element.getparent()
        if element.tag in TEXT or element.get("role") == "main":
            return False
        if element is root:
            return True
    return False


__all__ = ["read_html"]
