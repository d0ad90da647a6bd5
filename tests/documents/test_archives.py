"""Archives: what they are is told by what they list, and one bad file or a slow one costs no other."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest
from made_files import docx_of, zip_of

from smallprint.core.errors import DocumentError, MissingExtraError
from smallprint.documents import child, read
from smallprint.documents.document import Document, Limits
from smallprint.documents.read import kind_of, read_archive, read_bytes

pytest.importorskip("docx")
pytest.importorskip("lxml")

CLAUSE = b"We may end it."


def read_all(content: bytes, name: str, limits: Limits | None = None) -> dict[str, str | DocumentError]:
    found = read_bytes(content, name, limits or Limits())
    return {inner: each.text if isinstance(each, Document) else each for inner, each in found}


def stored(files: dict[str, bytes]) -> bytes:
    return zip_of(files, zipfile.ZIP_STORED)


def damaged(files: dict[str, bytes], name: str) -> bytes:
    """An archive in which the packed bytes of one file begin with what no packer writes."""
    content = bytearray(zip_of(files))
    content[content.find(name.encode()) + len(name)] = 0xFF
    return bytes(content)


def test_an_archive_without_files_is_told():
    for files in ({}, {".hidden": CLAUSE}):
        found = read_all(zip_of(files), "x.zip")
        assert list(found) == ["x.zip"]
        assert "x.zip holds no file" in str(found["x.zip"])


def test_an_archive_that_holds_a_word_document_as_it_stands():
    found = read_all(stored({"a.docx": docx_of(["We may end it."]), "b.txt": CLAUSE}), "x.zip")
    assert found == {"x.zip/a.docx": "We may end it.\nleft\nright", "x.zip/b.txt": "We may end it."}


@pytest.mark.parametrize(
    "files",
    [
        {"mimetype": b"application/vnd.oasis.opendocument.text", "content.xml": b"<a>We may.</a>", "meta.xml": b"<a/>"},
        {"content.xml": b"<a>We may.</a>", "META-INF/manifest.xml": b"<a/>"},
        {"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<a/>", "xl/sharedStrings.xml": b"<a>We may.</a>"},
        {"[Content_Types].xml": b"<Types/>", "ppt/presentation.xml": b"<a>We may.</a>"},
    ],
)
def test_other_office_files_are_refused_whole(files):
    (refused,) = read_all(zip_of(files), "contract").values()
    assert isinstance(refused, DocumentError)
    assert "office" in refused.found
    assert "docx" in refused.expected
    assert refused.do
    found = read_all(zip_of({"in": zip_of(files), "b.txt": CLAUSE}), "x.zip")
    assert list(found) == ["x.zip/in", "x.zip/b.txt"]
    assert isinstance(found["x.zip/in"], DocumentError)


def test_a_damaged_archive_is_told_as_what_it_seems_to_be():
    word, plain = docx_of(["We may end it."]), zip_of({"a.txt": CLAUSE * 9})
    assert kind_of(word[:-30], "a.docx") == "docx"
    assert "no whole Word document" in str(read_all(word[:-30], "a.docx")["a.docx"])
    assert kind_of(plain[:-30], "a.zip") == "zip"
    assert "cannot be read (BadZipFile" in str(read_all(plain[:-30], "a.zip")["a.zip"])


def test_a_damaged_file_costs_the_others_nothing():
    word = damaged({"word/document.xml": CLAUSE * 9, "[Content_Types].xml": b"<Types/>"}, "word/document.xml")
    files = {"a.txt": CLAUSE, "b.txt": CLAUSE * 9, "c.docx": word, "d.txt": CLAUSE}
    found = read_all(damaged(files, "b.txt"), "x.zip")
    assert list(found) == [f"x.zip/{name}" for name in files]
    assert found["x.zip/a.txt"] == found["x.zip/d.txt"] == CLAUSE.decode()
    assert "cannot be unpacked" in str(found["x.zip/b.txt"])
    assert "c.docx is no whole Word document" in str(found["x.zip/c.docx"])


@pytest.mark.parametrize("error", [ValueError("odd"), RecursionError("deep")])
def test_whatever_a_reader_raises_costs_the_others_nothing(error, monkeypatch):
    real = read.read_document
    content = zip_of({"a.txt": CLAUSE, "b.txt": CLAUSE, "c.txt": CLAUSE})

    def raises(part, name, limits):
        if name.endswith("b.txt"):
            raise error
        return real(part, name, limits)

    monkeypatch.setattr(read, "read_document", raises)
    found = dict(read_archive(content, "x.zip", Limits()))
    assert [isinstance(each, Document) for each in found.values()] == [True, False, True]
    assert f"cannot be read ({type(error).__name__}" in str(found["x.zip/b.txt"])


@pytest.mark.parametrize("error", [MemoryError(), MissingExtraError("lxml is not installed.")])
def test_what_concerns_every_file_ends_the_archive(error, monkeypatch):
    def raises(part, name, limits):
        raise error

    monkeypatch.setattr(read, "read_document", raises)
    with pytest.raises(type(error)):
        list(read_archive(zip_of({"a.txt": CLAUSE}), "x.zip", Limits()))


@pytest.mark.skipif(
    os.name == "nt" or not Path("/bin/sh").exists(), reason="needs a shell that stands in for a slow reader"
)
def test_what_was_read_before_the_time_was_up_is_given(tmp_path, monkeypatch):
    done = json.dumps({"name": "x.zip/a.txt", "document": Document("x.zip/a.txt", "We may end it.").to_dict()})
    slow = tmp_path / "slow"
    half = '{"name": "x.zip/b.txt", "document": {}'  # it ends as a whole line does
    slow.write_text(f"#!/bin/sh\nprintf '%s\\n' '{done}'\nprintf '%s' '{half}'\nexec sleep 60\n")
    slow.chmod(0o700)
    monkeypatch.setattr(child.sys, "executable", str(slow))
    found = read_all(zip_of({"a.txt": CLAUSE}), "x.zip", Limits(seconds=2))
    assert list(found) == ["x.zip/a.txt", "x.zip"]
    assert found["x.zip/a.txt"] == "We may end it."
    assert "more than 2 s" in str(found["x.zip"])
