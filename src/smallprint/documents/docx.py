"""Word documents (.docx). In: bytes. Out: a document: paragraphs, items and cells in the order of the body.

The XML is read as it stands: no entity is resolved, nothing that lies outside is fetched, no macro runs.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from smallprint.core.errors import DocumentError
from smallprint.core.extras import import_extra
from smallprint.documents.document import Builder, Document, Limits

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
BODY, STYLES = "word/document.xml", "word/styles.xml"
TWICE = (  # what stands elsewhere too: a text box drawn for older readers, and text at the place that it was moved from
    "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
    f"{W}moveFrom",
)
LEVELS = frozenset("012345678")  # of headings; 9 is the body's
HEADING = re.compile(r"heading|title|berschrift|titre|titel", re.IGNORECASE)
DAMAGED = "Open it in Word or LibreOffice and save it again."


def read_docx(content: bytes, name: str, limits: Limits) -> Document:
    """Gives the document of a .docx file.

    Raises:
        DocumentError: It is damaged, encrypted, or larger than it may be when unpacked.
        MissingExtraError: lxml is not installed.
    """
    etree = import_extra("lxml.etree", "Word documents need", "documents")
    builder = Builder(marked=True)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            body = _part(archive, BODY, name, limits)
            outside = any(
                b'TargetMode="External"' in _part(archive, part, name, limits) for part in _relations(archive)
            )
            styles = _part(archive, STYLES, name, limits) if STYLES in archive.namelist() else b""
    except (zipfile.BadZipFile, KeyError, RuntimeError, EOFError, OSError, zlib.error) as error:
        raise DocumentError(f"{name} is no whole Word document ({error}).", "a .docx file", DAMAGED) from None
    if outside:
        builder.notes.append("It refers to what lies outside (links, pictures); nothing of that was fetched.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        root, named = etree.fromstring(body, parser), _heading_styles(styles, etree, parser)
    except etree.XMLSyntaxError as error:
        raise DocumentError(f"{name} holds XML that cannot be read ({error}).", "a .docx file", DAMAGED) from None
    etree.strip_elements(root, *TWICE, with_tail=False)
    for paragraph in root.iter(f"{W}p"):
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        key = "" if style is None else style.get(f"{W}val", "")
        builder.add(_text_of(paragraph), heading=key in named or bool(HEADING.match(key)))
    return builder.build(name)


def _text_of(paragraph: Any) -> str:
    """The text of one paragraph: of what was deleted nothing, of what was inserted all."""
    parts = []
    for node in paragraph.iter(f"{W}t", f"{W}tab", f"{W}br", f"{W}noBreakHyphen"):
        if node.getparent().getparent() is not None and _within(node, paragraph):
            parts.append(_own_text(node) if node.tag == f"{W}t" else "-" if node.tag == f"{W}noBreakHyphen" else " ")
    return "".join(parts)


def _own_text(node: Any) -> str:
    """Text of a run; of an entity, which is not resolved, nothing."""
    return (node.text or "") + "".join(inner.tail or "" for inner in node)


def _within(node: Any, paragraph: Any) -> bool:
    """Says whether a run belongs to this very paragraph, not to one in a text box inside of it."""
    above = node.getparent()
    while above is not None and above.tag != f"{W}p":
        above = above.getparent()
    return above is paragraph


def _heading_styles(styles: bytes, etree: Any, parser: Any) -> set[str]:
    if not styles:
        return set()
    found = set()
    for style in etree.fromstring(styles, parser).iter(f"{W}style"):
        called = style.find(f"{W}name")
        levels = {level.get(f"{W}val") for level in style.iterfind(f"{W}pPr/{W}outlineLvl")}
        if levels & LEVELS or (called is not None and HEADING.match(called.get(f"{W}val", ""))):
            found.add(style.get(f"{W}styleId", ""))
    return found


def _relations(archive: zipfile.ZipFile) -> list[str]:
    return [part for part in archive.namelist() if part.startswith("word/") and part.endswith(".rels")][:50]


def _part(archive: zipfile.ZipFile, part: str, name: str, limits: Limits) -> bytes:
    """One file of the archive, of which no more is unpacked than may be, whatever it says of its size."""
    most = int(limits.archive_mb * 1e6)
    with archive.open(part) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise DocumentError(
            f"{name} unpacks to more than {limits.archive_mb:,.0f} MB.",
            "a document of usual size",
            "Split it, or raise the limit.",
        )
    return content


__all__ = ["read_docx"]
