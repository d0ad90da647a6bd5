"""Word documents whose XML says a thing twice, or says by a level what is a heading."""

from __future__ import annotations

import pytest
from made_files import zip_of

from smallprint.documents.document import Document
from smallprint.documents.read import read_document

pytest.importorskip("lxml")

NAMES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" xmlns:wps="x" xmlns:v="y"'
)


def paragraph(text: str, style: str = "") -> str:
    said = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{said}<w:r><w:t>{text}</w:t></w:r></w:p>"


def read_word(body: str, styles: str = "") -> Document:
    files = {"word/document.xml": f"<w:document {NAMES}><w:body>{body}</w:body></w:document>".encode()}
    if styles:
        files["word/styles.xml"] = f"<w:styles {NAMES}>{styles}</w:styles>".encode()
    return read_document(zip_of(files), "a.docx")


def test_a_text_box_is_read_once():
    box = f"<w:txbxContent>{paragraph('In the box.')}</w:txbxContent>"
    drawn = f'<mc:Choice Requires="wps"><w:drawing><wps:txbx>{box}</wps:txbx></w:drawing></mc:Choice>'
    older = f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback>"
    around = f"<w:p><w:r><w:t>Around </w:t><mc:AlternateContent>{drawn}{older}</mc:AlternateContent><w:t>it.</w:t></w:r></w:p>"
    assert read_word(around + paragraph("Below.")).text == "Around it.\nIn the box.\nBelow."
    old_word = f"<w:p><w:r><w:pict><v:textbox>{box}</v:textbox></w:pict></w:r></w:p>"
    assert read_word(old_word).text == "In the box."


def test_what_was_moved_is_read_where_it_is_now():
    run = "<w:r><w:t>{}</w:t></w:r>"
    left = f'<w:p><w:moveFrom w:id="1">{run.format("Moved.")}</w:moveFrom>{run.format("It stays.")}</w:p>'
    came = f'<w:p><w:moveTo w:id="2">{run.format("Moved.")}</w:moveTo></w:p>'
    assert read_word(left + paragraph("Middle.") + came).text == "It stays.\nMiddle.\nMoved."


@pytest.mark.parametrize(("level", "heading"), [("0", True), ("8", True), ("9", False), ("", False), ("12", False)])
def test_levels_of_headings(level, heading):
    style = f'<w:style w:styleId="S"><w:name w:val="Clause"/><w:pPr><w:outlineLvl w:val="{level}"/></w:pPr></w:style>'
    assert bool(read_word(paragraph("Fees are due", "S"), style).headings) is heading
