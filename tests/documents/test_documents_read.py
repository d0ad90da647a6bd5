"""Every kind of file, good and bad: the right text, or a clear refusal, and the others go on."""

from __future__ import annotations

import io
import shutil
import textwrap
import zipfile
from pathlib import Path

import pytest
from made_files import docx_of, pdf_of, zip_of

from smallprint.core.errors import DocumentError
from smallprint.documents import child
from smallprint.documents.document import Document, Limits
from smallprint.documents.read import kind_of, read_bytes, read_document, read_documents
from smallprint.documents.sentences import split_sentences

pytest.importorskip("docx")
pytest.importorskip("pypdfium2")
pytest.importorskip("lxml")


def read_all(path: Path, limits: Limits | None = None) -> dict[str, Document | DocumentError]:
    return {name.removeprefix(f"{path.parent}/"): read for name, read in read_documents([path], limits)}


def refusal(content: bytes, name: str, tmp_path: Path, limits: Limits | None = None) -> str:
    path = tmp_path / name
    path.write_bytes(content)
    (read,) = [read for _, read in read_documents([path], limits)]
    assert isinstance(read, DocumentError)
    assert read.expected
    assert read.do
    return read.found


def test_text_keeps_its_characters(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("1. SCOPE\n\nWe  may “change” it.\r\nשלום עולם.\n".encode())
    document = read_all(path)["a.txt"]
    assert document.text == "1. SCOPE\nWe may “change” it.\nשלום עולם."
    assert document.heading_of(document.text.index("change")) == "1. SCOPE"
    assert document.page_of(3) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding):
    assert read_document("Größe.".encode(encoding), "a.txt").text == "Größe."


def test_another_encoding_is_said():
    document = read_document("Größe.".encode("cp1252"), "a.txt")
    assert document.text == "Größe."
    assert "Windows-1252" in document.notes[0]


def test_mixed_encodings_in_one_file_are_read_each():
    document = read_document("Größe “jetzt”. ".encode() + "Länge “dann”.".encode("cp1252"), "a.txt")
    assert document.text == "Größe “jetzt”. Länge “dann”."
    assert "first at byte 22" in document.notes[0]
    assert "throughout" in document.notes[0]


@pytest.mark.parametrize("ending", ["txt", "html", "docx"])
def test_right_to_left_text_keeps_its_order_and_places(ending, tmp_path):
    sentences = ["אנו רשאים לשנות תנאים אלה.", "לך אין כל זכות (abc 123).", "يجوز لنا إنهاء الخدمة."]
    text = " ".join(sentences)
    content = (
        docx_of([text])
        if ending == "docx"
        else f"<p dir=rtl>{text}</p>".encode()
        if ending == "html"
        else text.encode()
    )
    (tmp_path / f"a.{ending}").write_bytes(content)
    document = read_all(tmp_path / f"a.{ending}")[f"a.{ending}"]
    assert [document.text[start:end] for start, end in split_sentences(document.text)][:3] == sentences


PARAGRAPHS = [
    "1. CHANGES",
    "We may change these terms at any time and without telling you, and by going on with the service after such a change you agree to "
    "be bound by them.",
    "2. Arbitration",
    "You give up your right to go to court. All disputes go to an arbitrator of our choice, whose non-appealable decision binds both "
    "sides for good.",
]


@pytest.mark.parametrize("width", [48, 72, 80])
def test_lines_that_were_broken_at_a_width_are_paragraphs_again(width):
    broken = "\n\n".join(textwrap.fill(each, width, break_on_hyphens=True) for each in PARAGRAPHS * 2)
    document = read_document(broken.encode(), "a.txt")
    assert document.text.split("\n") == PARAGRAPHS * 2
    assert "joined to paragraphs" in document.notes[0]


def test_lines_that_are_paragraphs_stay_so():
    clauses = [
        "We may change these terms at any time",
        "No refunds",
        "You agree to the terms of our parent company in full",
    ] * 4
    assert read_document("\n".join(clauses).encode(), "a.txt").text.split("\n") == clauses
    whole = "\n".join(PARAGRAPHS)
    assert read_document(whole.encode(), "a.txt").text == whole
    items = "We may, at any time and for whatever reason there is, do\n1. this, which is a long enough item to fill the line, and\n2. that"
    assert read_document(items.encode(), "a.txt").text == items


def test_markdown_loses_its_marks():
    document = read_document(b"# Terms\n\nWe *may* [change](http://x) it,\nor **not**.\n\n- one\n- two\n", "a.md")
    assert document.text == "Terms\nWe may change it, or not.\none\ntwo"
    assert document.heading_of(10) == "Terms"


def test_a_web_page_without_what_is_not_its_text():
    page = """<html><head><title>t</title><style>p{}</style></head><body><header>Logo</header><nav>Menu</nav>
    <h2>Scope</h2><p>We may <b>change</b>
    it.<script>alert(1)</script></p><ul><li>one<li>two</ul><p hidden>gone</p><table><tr><td>x<td>y</table>
    <footer>Imprint</footer></body></html>"""
    document = read_document(page.encode(), "a.html")
    assert document.text == "Scope\nWe may change it.\none\ntwo\nx\ny"
    assert document.heading_of(12) == "Scope"


def test_a_web_page_of_a_hundred_thousand_nested_tags():
    page = b"<html><body>" + b"<div>" * 100_000 + b"We may end it." + b"</div>" * 100_000 + b"</body></html>"
    with pytest.raises(DocumentError, match="too deeply"):
        read_document(page, "a.html")
    page = b"<html><body>" + b"<div>" * 200 + b"We may end it." + b"</div>" * 200 + b"</body></html>"
    assert read_document(page, "a.html").text == "We may end it."


def test_a_word_document_in_its_order(tmp_path):
    path = tmp_path / "a.docx"
    path.write_bytes(docx_of(["We may end it.", "You agree."], "Scope"))
    document = read_all(path)["a.docx"]
    assert document.text == "Scope\nWe may end it.\nYou agree.\nleft\nright"
    assert document.heading_of(20) == "Scope"


def test_a_word_document_that_refers_elsewhere_fetches_nothing():
    content = docx_of(["We may end it."])
    relation = b'<Relationships><Relationship Target="http://127.0.0.1:9/x" TargetMode="External"/></Relationships>'
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["word/_rels/document.xml.rels"] = relation
    entity = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    body = files["word/document.xml"].replace(b"We may end it.", b"We may &x; end it.")
    files["word/document.xml"] = body.replace(b"?>", b"?>" + entity, 1)
    document = read_document(zip_of(files), "a.docx")
    assert "root:" not in document.text
    assert "end it." in document.text
    assert "nothing of that was fetched" in document.notes[0]


def test_a_pdf_with_pages_hyphens_and_running_heads(tmp_path):
    first = ["Terms of Acme 2024", "", "We may change these terms at any time, and you agree to be bound by the amend-"]
    first += [
        "ments that we make to them. This goes on for a line or two more, so that the usual",
        "step between lines is told,",
    ]
    first += ["and it ends here.", "", "You may leave.", "", "Page 1"]
    second = ["Terms of Acme 2024", "", "No refund is given.", "", "Page 2"]
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_of([first, second]))
    document = read_all(path)["a.pdf"]
    assert document.text.split("\n") == [
        "We may change these terms at any time, and you agree to be bound by the amendments that we make to them. "
        "This goes on for a line or two more, so that the usual step between lines is told, and it ends here.",
        "You may leave.",
        "No refund is given.",
    ]
    assert document.page_of(document.text.index("No refund")) == 2
    assert document.page_of(0) == 1


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"", "a.pdf", "empty"),
        (b"%PDF-1.4\nrubbish", "a.pdf", "no whole PDF"),
        (pdf_of([["Hello there."]])[:200], "a.pdf", "no whole PDF"),
        (pdf_of([[]]), "a.pdf", "no text layer"),
        (b"PK\x03\x04word/document.xml rubbish", "a.docx", "no whole Word document"),
        (b"\x00\x01\x02\x03" * 10, "a.txt", "no text"),
        (b" \n ", "a.txt", "has no text"),
        (b"<html><body><script>x</script></body></html>", "a.html", "has no text"),
    ],
)
def test_what_cannot_be_read_is_refused(content, name, words, tmp_path):
    assert words in refusal(content, name, tmp_path)


def test_a_pdf_that_loops_ends(tmp_path):
    good = pdf_of([["Hello there."]]).decode("latin-1")
    table = good.rindex("xref\n0")
    loops = {
        "pages": good.replace("/Kids [4 0 R]", "/Kids [2 0 R]"),  # a page tree that is its own child
        "table": good.replace("/Size", f"/Prev {table} /Size"),  # a table whose earlier table is itself
        "content": good.replace("/Contents 5 0 R", "/Contents 4 0 R"),  # a page that draws itself
    }
    for name, looped in loops.items():
        assert looped != good
        path = tmp_path / f"{name}.pdf"
        path.write_bytes(looped.encode("latin-1"))
        (read,) = read_all(path).values()  # or refused, for its loop and not for the time that it took
        assert isinstance(read, Document) or "took more than" not in read.found


def test_an_encrypted_pdf_is_refused(tmp_path):
    key = "<" + "00" * 32 + ">"
    entry = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >> /ID [<00><00>] "
    assert "password" in refusal(pdf_of([["Hello there."]], entry), "a.pdf", tmp_path)


def test_limits(tmp_path):
    assert "too large" in refusal(b"We may end it. " * 10_000, "a.txt", tmp_path, Limits(file_mb=0.1))
    assert "characters" in refusal(b"We may end it. " * 1000, "b.txt", tmp_path, Limits(characters=1000))
    assert "3 pages" in refusal(pdf_of([["Hello there."]] * 3), "a.pdf", tmp_path, Limits(pages=2))


def test_a_huge_file_is_refused_by_its_size_alone(tmp_path):
    path = tmp_path / "a.pdf"
    with path.open("wb") as file:
        file.truncate(2 * 10**9)
    assert "too large" in str(read_all(path)["a.pdf"])


def test_a_reader_that_hangs_is_ended(tmp_path, monkeypatch):
    assert "more than 0 s" in refusal(pdf_of([["Hello there."]]), "a.pdf", tmp_path, Limits(seconds=0.01))


def test_a_reader_that_wants_too_much_memory_is_ended(tmp_path):
    found = refusal(zip_of({"a.txt": b"We may end it. " * 4_000_000}), "a.zip", tmp_path, Limits(memory_mb=100))
    assert "memory" in found or "made its reader end" in found


def test_a_bomb_is_refused(tmp_path):
    bomb = zip_of({"a.txt": b"0" * 3_000_000})
    assert "unpacks to more than 1 MB" in refusal(bomb, "a.zip", tmp_path, Limits(archive_mb=1))
    big = docx_of(["x " * 1_000_000])
    assert "unpacks to more than 1 MB" in refusal(big, "a.docx", tmp_path, Limits(archive_mb=1))


def test_too_many_files(tmp_path):
    many = zip_of({f"{i}.txt": b"Hello." for i in range(20)})
    assert "20 files" in refusal(many, "a.zip", tmp_path, Limits(archive_files=10))


def test_an_archive_gives_what_it_can(tmp_path):
    path = tmp_path / "a.zip"
    inner = zip_of({"x.txt": b"We may."})
    path.write_bytes(
        zip_of(
            {
                "good.txt": b"We may end it.",
                "bad.pdf": b"%PDF-1.4 no",
                "../../evil.txt": b"x",
                "in.zip": inner,
                ".h": b"x",
            }
        )
    )
    read = read_all(path)
    assert isinstance(read["a.zip/good.txt"], Document)
    assert {name for name, entry in read.items() if isinstance(entry, DocumentError)} == {
        "a.zip/bad.pdf",
        "a.zip/../../evil.txt",
        "a.zip/in.zip",
    }
    assert not (tmp_path.parent.parent / "evil.txt").exists()


def test_a_folder_in_order(tmp_path):
    for name in ("b.txt", "a.md", "c.xyz", ".hidden.txt"):
        (tmp_path / name).write_text("We may end it.")
    assert [Path(name).name for name, _ in read_documents([tmp_path, tmp_path / "none.txt"])] == [
        "a.md",
        "b.txt",
        "none.txt",
    ]


def test_a_wrong_suffix_is_read_as_what_it_is(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(pdf_of([["Hello there."]]))
    document = read_all(path)["a.txt"]
    assert document.text == "Hello there."
    assert "read as pdf" in document.notes[0]
    assert kind_of(b"<!DOCTYPE html><p>x", "a.txt") == "html"


def test_a_reader_that_dies_takes_nothing_with_it(tmp_path, monkeypatch):
    dies = shutil.which("false")
    if dies is None:
        pytest.skip("there is no program here that fails at once")
    monkeypatch.setattr(child.sys, "executable", dies)
    assert "made its reader end" in refusal(pdf_of([["Hello there."]]), "a.pdf", tmp_path)


def test_documents_survive_the_way_between_processes():
    document = Document("a", "b c", [0], [(0, 1)], ["n"])
    assert Document.from_dict(document.to_dict()) == document


def test_a_table_is_read_as_text_and_predict_is_named():
    document = read_document(b"id,text\n1,We may close your account.\n", "rows.csv")
    assert "smallprint predict" in document.notes[-1]
    assert not read_document(b"We may close your account.", "terms.txt").notes


FULL_LINE = "We may change these terms at any time, and you agree to be bound by what we make of them"


def lines_of(path: Path, pages: list[list[str]]) -> list[str]:
    path.write_bytes(pdf_of([[FULL_LINE] * 6 + page if n == 0 else page for n, page in enumerate(pages)]))
    return read_all(path)[path.name].text.split("\n")


@pytest.mark.parametrize(
    ("last", "first", "joined"),
    [
        ("in all cases that we", "name here.", True),  # begins small
        (FULL_LINE[:-13] + " by", "Disestablishmentarianism Limited.", True),  # the word had no room
        ("in all cases that", "London knows.", False),  # it had, and no line ends there by chance
        ("in all cases.", "You agree.", False),
        ("in all cases.", "c. Entire agreement.", False),
        ("14. ARBITRATION", "You agree.", False),
    ],
)
def test_a_paragraph_goes_on_on_the_next_page_or_not(last, first, joined, tmp_path):
    found = lines_of(tmp_path / "a.pdf", [[last], [first, "It ends."]])
    assert any(line.endswith(f"{last} {first}") for line in found) is joined
    assert any(line.endswith(last) for line in found) is not joined


def test_spaces_that_kerning_made_narrow_are_kept(tmp_path):
    found = lines_of(tmp_path / "a.pdf", [["", "VISA) Tj 1 0 0 1 76.5 668 Tm (AND THE OTHERS"]])
    assert found[-1] == "VISA AND THE OTHERS"


def test_what_lies_in_the_current_folder_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "lzma.py").write_text("raise SystemExit('run')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('run')\n")
    monkeypatch.chdir(tmp_path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "We may end your account.")
    ((_, document),) = read_bytes(packed.getvalue(), "a.zip", Limits())
    assert document.text == "We may end your account."


def test_a_large_page_is_read_apart(monkeypatch):
    asked = []
    monkeypatch.setattr(child, "read_apart", lambda content, name, limits: asked.append(name) or iter(()))
    list(read_bytes(b"<html><p>We may end it." + b" " * 2**20, "large.html", Limits()))
    list(read_bytes(b"<html><p>We may end it.", "small.html", Limits()))
    assert asked == ["large.html"]
