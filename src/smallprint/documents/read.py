"""One file or many, of any known kind. In: paths, or bytes with a name. Out: documents, or for each that cannot be read the error.

The kind is told by what a file holds, not by its name. PDF, DOCX and archives, which are parsed by large readers, are read in a
process of their own with limits on memory and time (`child.py`).
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from smallprint.core.errors import DocumentError, MissingExtraError
from smallprint.documents.document import Document, Limits
from smallprint.documents.plain import read_markdown, read_text

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
KINDS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".docx": "docx",
    ".pdf": "pdf",
    ".zip": "zip",
}
HTML = re.compile(rb"<!doctype html|<html[\s>]|<body[\s>]|<head[\s>]|<(?:p|div|h1)[\s>]", re.IGNORECASE)
LOOKED_AT = 4096
HTML_APART = 2**20  # bytes: a smaller page takes less memory than a process of its own would
ZIPPED = (b"PK\x03\x04", b"PK\x05\x06")
OFFICE = {
    "mimetype",
    "content.xml",
    "META-INF/manifest.xml",
    "[Content_Types].xml",
}  # one is in each: odt, epub, xlsx, pptx
STANDARD_INPUT = "standard input"
Read = tuple[str, Document | DocumentError]


def read_documents(paths: Sequence[str | Path], limits: Limits | None = None) -> Iterator[Read]:
    """Gives the documents of files, folders (with theirs, in order) and archives, each with its name; '-' is standard input.

    What cannot be read is given as its error, and the others go on.
    """
    limits = limits or Limits()
    for path in paths:
        if str(path) == "-":
            yield from read_bytes(sys.stdin.buffer.read(int(limits.file_mb * 1e6) + 1), STANDARD_INPUT, limits)
            continue
        for file in _files(Path(path).expanduser()):
            if isinstance(file, DocumentError):
                yield _shown(path), file
                continue
            try:
                yield from read_bytes(_bytes_of(file, limits), _shown(file), limits)
            except DocumentError as error:
                yield _shown(file), error


def read_document(content: bytes, name: str, limits: Limits | None = None) -> Document:
    """Gives the document of one file's content, read in this process; archives are not taken.

    Raises:
        DocumentError: It cannot be read, or is larger than it may be.
        MissingExtraError: Its reader is not installed.
    """
    limits = limits or Limits()
    _check_size(content, name, limits)
    kind = kind_of(content, name)
    if kind == "pdf":
        from smallprint.documents.pdf import read_pdf

        document = read_pdf(content, name, limits)
    elif kind == "docx":
        from smallprint.documents.docx import read_docx

        document = read_docx(content, name, limits)
    elif kind == "html":
        from smallprint.documents.html import read_html

        document = read_html(content, name)
    elif kind == "zip":
        raise DocumentError(f"{name} is an archive.", "a document", "Unpack it, and scan the folder.")
    elif kind == "office":
        raise DocumentError(
            f"{name} is an office file or a book of a kind that is not read.",
            "txt, md, html, docx or pdf",
            "Save it as .docx or PDF.",
        )
    else:
        document = read_markdown(content, name) if kind == "markdown" else read_text(content, name)
    said = KINDS.get(Path(name).suffix.lower())
    if said not in (None, kind):
        document.notes.append(f"Its name says {said}, and it was read as {kind}, which it is.")
    if Path(name).suffix.lower() in TABLES:
        document.notes.append(
            "Its name says that it is a table, and it was read as text; `smallprint predict` labels rows."
        )
    if not document.text:
        raise DocumentError(f"{name} has no text.", "a document with text", "Check that it is the right file.")
    if len(document.text) > limits.characters:
        raise DocumentError(
            f"{name} has {len(document.text):,} characters.",
            f"at most {limits.characters:,}",
            "Split it, or raise the limit.",
        )
    return document


def read_archive(content: bytes, name: str, limits: Limits) -> Iterator[Read]:
    """Gives the documents in a zip archive, one by one; archives within are refused, and nothing is written to disk."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _hidden(entry.filename)]
        if len(entries) > limits.archive_files:
            raise DocumentError(
                f"{name} has {len(entries):,} files.",
                f"at most {limits.archive_files:,}",
                "Split it, or raise the limit.",
            )
        if not entries:
            raise DocumentError(
                f"{name} holds no file.", "an archive of documents; hidden files are passed over", "Pack it anew."
            )
        left = int(limits.archive_mb * 1e6)
        for entry in entries:
            inner = f"{name}/{entry.filename}"
            if (
                ".." in Path(entry.filename).parts
                or entry.filename.startswith(("/", "\\"))
                or ":" in entry.filename[:3]
            ):
                yield (
                    inner,
                    DocumentError(
                        f"{inner} has a path that leads out of the archive.", "a path within", "Leave it out."
                    ),
                )
                continue
            try:
                with archive.open(entry) as file:
                    part = file.read(left + 1)
            except MemoryError:
                raise
            except Exception as error:  # zipfile's own, and those of what unpacks: zlib, bz2, lzma
                yield (
                    inner,
                    DocumentError(
                        f"{inner} cannot be unpacked ({error}).", "a whole file, not encrypted", "Pack it anew."
                    ),
                )
                continue
            left -= len(part)
            if left < 0:
                raise DocumentError(
                    f"{name} unpacks to more than {limits.archive_mb:,.0f} MB.", "an archive of usual size", "Split it."
                )
            try:
                yield inner, read_document(part, inner, limits)
            except DocumentError as error:
                yield inner, error
            except (MemoryError, MissingExtraError):
                raise
            except Exception as error:
                yield inner, unreadable(inner, error)


def unreadable(name: str, error: Exception) -> DocumentError:
    """Gives the refusal of a file that made its reader raise whatever it raised."""
    reason = f"{type(error).__name__}: {error}"[:160]
    return DocumentError(f"{name} cannot be read ({reason}).", "a whole document", "Save or send it anew.")


def kind_of(content: bytes, name: str) -> str:
    """Gives text, markdown, html, docx, pdf, zip or office (other office files) by what a file holds.

    Its name decides between what is text alike.
    """
    kind = _form_of(content, name)
    return _kind_of_zip(content) if kind == "zip" else kind


def _form_of(content: bytes, name: str) -> str:
    """Gives the kind by how a file begins: of all that is zipped, zip."""
    start = content[:LOOKED_AT]
    if b"%PDF-" in start[:1024]:
        return "pdf"
    if start.startswith(ZIPPED):
        return "zip"
    said = KINDS.get(Path(name).suffix.lower())
    if said == "html" or (said != "markdown" and HTML.search(start)):
        return "html"
    return "markdown" if said == "markdown" else "text"


def _kind_of_zip(content: bytes) -> str:
    """Gives docx, office or zip by what an archive lists; of a broken one by its bytes, so that its reader says what is wrong."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return "docx" if b"word/document.xml" in content else "zip"
    if "word/document.xml" in listed:
        return "docx"
    return "office" if listed & OFFICE else "zip"


def read_bytes(content: bytes, name: str, limits: Limits) -> Iterator[Read]:
    """Gives the documents of one file's content; what large readers parse is read in a process of its own."""
    try:
        _check_size(content, name, limits)
        form = _form_of(content, name)
        if form in ("pdf", "zip") or (form == "html" and len(content) > HTML_APART):
            from smallprint.documents.child import read_apart

            yield from read_apart(content, name, limits)
        else:
            yield name, read_document(content, name, limits)
    except DocumentError as error:
        yield name, error


def _files(path: Path) -> Iterator[Path | DocumentError]:
    if not path.exists():
        yield DocumentError(f"{_shown(path)} does not exist.", "a file or folder that is there", "Check the path.")
    elif path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and not _hidden(p.relative_to(path).as_posix()))
        known = [p for p in found if p.suffix.lower() in KINDS]
        if not known:
            yield DocumentError(f"{_shown(path)} has no document.", f"files of {', '.join(KINDS)}", "Check the path.")
        yield from known
    else:
        yield path


def _shown(path: str | Path) -> str:
    """Gives a path that can be printed and written: bytes in it that are no UTF-8 as their numbers."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _hidden(path: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) and part != ".." for part in path.split("/"))


def _bytes_of(path: Path, limits: Limits) -> bytes:
    try:
        if path.stat().st_size > limits.file_mb * 1e6:
            raise _too_large(_shown(path), limits)
        return path.read_bytes()
    except OSError as error:
        raise DocumentError(
            f"{_shown(path)} cannot be read ({error.strerror}).", "a readable file", "Check its permissions."
        ) from None


def _check_size(content: bytes, name: str, limits: Limits) -> None:
    if not content:
        raise DocumentError(
            f"{name} is empty (0 bytes).", "a document with text", "Check that it was saved or sent whole."
        )
    if len(content) > limits.file_mb * 1e6:
        raise _too_large(name, limits)


def _too_large(name: str, limits: Limits) -> DocumentError:
    return DocumentError(f"{name} is too large.", f"at most {limits.file_mb:,.0f} MB", "Split it, or raise the limit.")


__all__ = ["kind_of", "read_archive", "read_bytes", "read_document", "read_documents", "unreadable"]
