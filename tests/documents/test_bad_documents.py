"""All bad files in one call of the command: each refused by name or read, the good ones done, nothing run, fetched or unpacked."""

from __future__ import annotations

import json
import os
import sys

import pytest
from made_files import docx_of, pdf_of, zip_of
from typer.testing import CliRunner

from smallprint.cli.app import app
from smallprint.core.errors import DocumentError
from smallprint.documents.read import read_documents
from smallprint.inference.scan_page import render_scan

pytest.importorskip("docx")
pytest.importorskip("pypdfium2")
pytest.importorskip("lxml")

CLAUSE = "We may use the crimson ink."
KEY = "<" + "00" * 32 + ">"
LOCKED = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {KEY} /U {KEY} /P -4 >> /ID [<00><00>] "
PAGE = (
    f"<html><head><script>document.title='run'</script><link rel=stylesheet href='http://127.0.0.1:9/a.css'></head><body onload='x()'>"
    f"<img src='http://127.0.0.1:9/a.png' onerror='x()'><iframe src='file:///etc/passwd'></iframe><p>{CLAUSE}</p></body></html>"
)
REFUSED = {
    "damaged.pdf": b"%PDF-1.4 rubbish",
    "encrypted.pdf": pdf_of([["Hello there."]], LOCKED),
    "pictures.pdf": pdf_of([[], []]),
    "zero.pdf": b"",
    "zero.txt": b"",
    "bytes.txt": b"\x00\x01\x02\x03" * 10,
    "nested.html": b"<div>" * 100_000 + CLAUSE.encode() + b"</div>" * 100_000,
    "broken.docx": b"PK\x03\x04word/document.xml rubbish",
}
READ = {
    "scripts.html": PAGE.encode(),
    "good.docx": docx_of([CLAUSE]),
    "named-wrong.txt": pdf_of([[CLAUSE]]),
    "mixed.txt": f"Größe “jetzt”. {CLAUSE} ".encode() + "Länge “dann”.".encode("cp1252"),
    "rtl.txt": f"אנו רשאים לשנות תנאים אלה. {CLAUSE}".encode(),
    "long.txt": (f"{CLAUSE[:-1]} " + "and so on " * 100_000).encode(),  # one sentence of a megabyte
}


def test_bad_files_in_one_call(toy_run, tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    inner = zip_of({"x.txt": CLAUSE.encode()})
    files = {**REFUSED, **READ}
    files["all.zip"] = zip_of({"in.zip": inner, "../../evil.txt": CLAUSE.encode(), "good.txt": CLAUSE.encode()})
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with (folder / "huge.pdf").open("wb") as file:
        file.truncate(2 * 10**9)
    before = {path.name for path in tmp_path.rglob("*")}
    done = CliRunner().invoke(app, ["scan", str(toy_run), str(folder), "--format", "json"])
    assert done.exit_code == 4
    found = {entry["name"].removeprefix(f"{folder}/"): entry for entry in json.loads(done.stdout)["documents"]}
    refused = {name for name, entry in found.items() if "error" in entry}
    assert refused == {*REFUSED, "huge.pdf", "all.zip/in.zip", "all.zip/../../evil.txt"}
    assert all(found[name]["error"]["do"] for name in refused)
    assert found.keys() - refused == {*READ, "all.zip/good.txt"}
    for name in READ:
        assert any("crimson" in finding["text"] for finding in found[name]["findings"]), name
    assert "Traceback" not in done.output
    assert {path.name for path in tmp_path.rglob("*")} == before  # nothing was unpacked
    assert "root:" not in done.stdout
    page = render_scan([(entry, None) for entry in found.values()], "model")
    assert page.count("Not read.") == len(refused)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such name")
def test_a_name_that_is_no_utf8(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    names = [os.fsdecode(name) for name in (b"caf\xe9.txt", b"empty\xe9.txt", b"gone\xe9.txt")]
    for name in names[:2]:
        (folder / name).write_text(CLAUSE if name.startswith("caf") else "")
    found = dict(read_documents([folder, folder / names[2]]))
    assert len(found) == 3
    for name, document in found.items():
        name.encode()  # what writes it somewhere can
        if isinstance(document, DocumentError):
            document.found.encode()
    assert sum(isinstance(document, DocumentError) for document in found.values()) == 2
