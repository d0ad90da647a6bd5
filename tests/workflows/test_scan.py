"""Documents through a trained toy model by the command line: places, formats, the page in a browser, what is left to a person."""

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from smallprint.cli.app import app
from smallprint.data.labels import LabelSet
from smallprint.documents.document import Document
from smallprint.documents.read import read_document
from smallprint.evaluation.policy import Policy
from smallprint.inference.engine import Engine
from smallprint.inference.scan_page import render_scan
from smallprint.inference.scanner import for_review, scan_document

TEXT = "COLOURS\n\nWe may use the crimson ink. The service is good.\nYour account is leaf green <b>& moss</b>.\n"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Words:
    """A scorer that knows two words."""

    max_length, n_truncated = None, 0

    def score(self, texts):
        found = [[0.9 if word in text else 0.1 for word in ("crimson", "leaf")] for text in texts]
        return np.array(found, dtype=np.float32).reshape(-1, 2)


@pytest.fixture
def engine():
    return Engine(Words(), LabelSet("multilabel", ["red", "green"]), np.full(2, 0.5))


def invoke(*arguments):
    return CliRunner().invoke(app, ["scan", *map(str, arguments)])


def test_findings_have_their_places(engine):
    document = read_document(TEXT.encode(), "a.txt")
    entry = scan_document(engine, document, explain=True)
    assert entry["sentences"] == 4
    assert [finding["labels"] for finding in entry["findings"]] == [["red"], ["green"]]
    for finding in entry["findings"]:
        assert document.text[finding["start"] : finding["end"]] == finding["text"]
        assert finding["heading"] == "COLOURS"
        assert finding["scores"].keys() == set(engine.labels.names)
        assert finding["decision"] is None
    assert "crimson" in [part["text"] for part in entry["findings"][0]["evidence"]]


def test_a_bare_heading_is_no_finding_and_that_is_said(engine):
    document = read_document(b"# Of crimson and leaf\n\nWe use crimson ink.\n\n## We sell leaf\n", "a.md")
    entry = scan_document(engine, document, every=True)
    assert [finding["text"] for finding in entry["findings"]] == ["We use crimson ink.", "We sell leaf"]
    assert [document.text[start:end] for start, end, _ in entry["scored"]] == ["We use crimson ink.", "We sell leaf"]
    assert entry["notes"] == ["1 bare heading would be flagged or sent to a person, and is no finding."]
    assert entry["sentences"] == 3
    entry = scan_document(engine, document, headings=True)
    assert entry["findings"][0]["text"] == "Of crimson and leaf"
    assert not entry["notes"]
    for finding in entry["findings"]:
        assert document.text[finding["start"] : finding["end"]] == finding["text"]


def test_a_terminal_has_each_document_s_line_once(toy_run, tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    (tmp_path / "a.txt").write_text(TEXT)
    assert "sentences" in invoke(toy_run, tmp_path / "a.txt").stderr
    monkeypatch.setattr("smallprint.cli.scan_command.sys", SimpleNamespace(stdout=terminal))
    told = invoke(toy_run, tmp_path / "a.txt").stderr + terminal.getvalue()
    assert told.count("findings in") == 1


def test_what_is_left_to_a_person_goes_to_review(engine):
    engine.policy = Policy(None, None)  # promises nothing, so that all goes to a person
    entry = scan_document(engine, Document("a", "The service is good.\nWe may use the crimson ink."))
    assert {finding["decision"] for finding in entry["findings"]} == {"person"}
    rows = for_review([entry])
    assert [row[0] for row in rows] == ["The service is good.", "We may use the crimson ink."]
    assert [row[1] for row in rows] == ["", "red"]


def test_the_command_gives_every_format(toy_run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(TEXT)
    done = invoke(toy_run, path)
    assert done.exit_code == 0
    assert "a.txt: " in done.stdout
    (entry,) = json.loads(invoke(toy_run, path, "--format", "json").stdout)["documents"]
    assert "red" in next(f for f in entry["findings"] if "crimson" in f["text"])["labels"]
    rows = list(csv.DictReader(io.StringIO(invoke(toy_run, path, "--format", "csv").stdout)))
    assert [row["labels"].split("|") for row in rows] == [finding["labels"] for finding in entry["findings"]]
    done = invoke(toy_run, path, "-o", tmp_path / "o.html", "--review", tmp_path / "r.csv")
    assert done.exit_code == 0
    assert (tmp_path / "o.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    (tmp_path / "head.md").write_text("# The crimson ink\n\nWe may use the crimson ink.\n")
    given = [invoke(toy_run, tmp_path / "head.md", "--format", "json", *more).stdout for more in ([], ["--headings"])]
    assert [len(json.loads(text)["documents"][0]["findings"]) for text in given] == [1, 2]
    assert "crimson" in (tmp_path / "r.csv").read_text()
    assert invoke(toy_run, path, "-o", tmp_path / "o.xyz").exit_code != 0
    for option in ("-o", "--review", "--outbox"):
        assert invoke(toy_run, path, option, path).exit_code == 2
    assert path.read_text() == TEXT


def test_a_place_where_nothing_can_be_written_is_told_before_anything_is_read(toy_run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    for option in ("-o", "--review"):
        for place in (tmp_path, tmp_path / "a.txt" / "x.json"):
            done = invoke(toy_run, tmp_path / "a.txt", "--format", "json", option, place)
            assert done.exit_code == 2
            assert isinstance(done.exception, SystemExit)
            assert "could not be written" in done.stderr
            assert "findings" not in done.output


def test_findings_go_out_once_however_often_a_document_is_scanned(toy_run, tmp_path):
    path, log = tmp_path / "a.txt", tmp_path / "log.txt"
    path.write_text(TEXT)
    script = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + chr(10))"
    rules = [{"name": "keep", "when": ["undecided"], "command": [sys.executable, "-c", script, str(log)]}]
    (tmp_path / "rules.yaml").write_text(json.dumps(rules))
    out = tmp_path / "o.json"
    for _ in range(2):
        done = invoke(toy_run, path, "-o", out, "--actions", tmp_path / "rules.yaml")
        assert done.exit_code == 0, done.output
    given = [json.loads(line) for line in log.read_text().splitlines() if line]
    found = json.loads(out.read_text(encoding="utf-8"))["documents"][0]["findings"]
    assert len(given) == sum(len(finding["labels"]) for finding in found)
    assert invoke(toy_run, path, "--actions", tmp_path / "rules.yaml").exit_code == 2
    (tmp_path / "wrong.yaml").write_text(json.dumps([{**rules[0], "when": ["no such label"]}]))
    none = tmp_path / "none.json"
    done = invoke(toy_run, path, "-o", none, "--actions", tmp_path / "wrong.yaml")
    assert done.exit_code == 2
    assert not none.exists()  # told before anything is read


def test_one_bad_document_does_not_stop_the_others(toy_run, tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.4 rubbish")
    done = invoke(toy_run, tmp_path, "--format", "json")
    assert done.exit_code == 4
    documents = json.loads(done.stdout)["documents"]
    assert documents[0]["findings"]
    assert documents[1]["error"]["found"]


class Seen(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.places, self.links = [], []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places += [given["id"]] if "id" in given else []
        self.links += [value for key, value in attributes if key in ("href", "src")]


def page_of(engine):
    document = read_document(TEXT.encode(), "a.txt")
    return render_scan([(scan_document(engine, document), document)], "model")


def test_the_page_is_said_to_be_no_legal_advice_where_labels_are_of_law(engine):
    document = read_document(TEXT.encode(), "a.txt")
    scanned = [(scan_document(engine, document), document)]
    assert "no legal advice" not in render_scan(scanned, "m", ["late", "rude"])
    assert "no legal advice" in render_scan(scanned, "m", ["Arbitration", "Choice of law"])


def test_the_page_needs_nothing_else_and_escapes(engine):
    page = page_of(engine)
    seen = Seen()
    seen.feed(page)
    assert seen.links == [f"#{place}" for place in seen.places]
    assert "<b>&" not in page
    assert "http" not in re.sub(r"http-equiv", "", page)


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_the_page_works_in_a_browser(engine, tmp_path):
    page = page_of(engine)
    probe = """<script>
    document.querySelector('fieldset input[value=red]').click();
    document.dispatchEvent(new KeyboardEvent('keydown', {key: 'j'}));
    const open = [...document.querySelectorAll('li[data-labels]')].filter((item) => !item.hidden);
    document.title = ['probe', open.length, open[0].dataset.labels, document.activeElement.id].join(' ');
    </script>"""
    path = tmp_path / "p.html"
    path.write_text(page.replace("</body>", f"{probe}</body>"), encoding="utf-8")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "<title>probe 1 green f2</title>" in done.stdout
    assert "CONSOLE" not in done.stderr


@pytest.mark.skipif(BROWSER is None, reason="needs Chromium")
def test_the_printed_page_says_all_that_the_screen_can(tmp_path):
    pypdfium2 = pytest.importorskip("pypdfium2")
    page = page_of(Engine(Words(), LabelSet("multilabel", ["Arbitration", "Jurisdiction"]), np.full(2, 0.5)))
    (tmp_path / "p.html").write_text(page, encoding="utf-8")
    out = tmp_path / "p.pdf"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--print-to-pdf={out}"]
    subprocess.run([*command, (tmp_path / "p.html").as_uri()], capture_output=True, timeout=60, check=True)
    pdf = pypdfium2.PdfDocument(out)
    sheets = [" ".join(pdf[i].get_textpage().get_text_range().split()) for i in range(len(pdf))]
    assert len(sheets) == 2  # the list, and the document
    assert "Disputes shall go to an arbitrator" in sheets[0]  # what is folded on the screen
    assert "Keys:" not in sheets[0]
    assert "1 Arbitration" in sheets[0]
    assert "We may use the crimson ink. 1 Arbitration" in sheets[1]  # the number leads from one to the other


def test_scores_are_those_of_the_engine(engine):
    document = read_document(TEXT.encode(), "a.txt")
    finding = scan_document(engine, document)["findings"][0]
    np.testing.assert_allclose(list(finding["scores"].values()), engine.score([finding["text"]])[0], atol=1e-6)
