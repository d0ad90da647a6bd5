"""README's commands and Python are run as they stand there, on a table made of the sample corpus; the tutorial as a notebook."""

import csv
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from smallprint.cli.app import main
from smallprint.data.read import open_source

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading, language):
    """Gives the first block of a language below a heading of README."""
    return re.search(rf"^## {heading}.*?^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working directory with the files that README names."""
    rows = open_source("sample").read(None).rows(named=True)
    with (tmp_path / "contracts.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["company", "clause", "types"])
        out.writerows([row["company"], row["text"], "|".join(row["labels"])] for row in rows)
    with (tmp_path / "new.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "clause"])
        out.writerows([k, row["text"]] for k, row in enumerate(rows[:20]))
    body = "".join(f"<p>{row['text']}</p>" for row in rows[:20])
    (tmp_path / "terms.html").write_text(f"<html><body><h1>Terms</h1>{body}</body></html>", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code, words


def test_your_own_data_in_five_lines(work, capsys):
    pytest.importorskip("lxml", reason="HTML needs smallprint[documents]")
    lines = [shlex.split(line, comments=True) for line in block("Your own data in five lines", "sh").splitlines()]
    assert [words[:2] for words in lines] == [
        ["smallprint", name] for name in ("check", "train", "evaluate", "predict", "scan")
    ]
    for words in lines:
        fast = ["--backbone", "tfidf", "--set", "tracking.enabled=false"] if words[1] == "train" else []
        run([*words[1:], *fast])
    with (work / "labelled.csv").open(encoding="utf-8", newline="") as file:
        answers = list(csv.DictReader(file))
    assert len(answers) == 20
    assert {"id", "clause", "labels"} <= set(answers[0])
    assert sum(bool(row["labels"]) for row in answers) > 2
    assert "<mark" in (work / "findings.html").read_text(encoding="utf-8")
    assert "f1_macro" in capsys.readouterr().out


def test_the_python_block(work, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{work}/mlflow.db")
    exec(compile(block("Your own data in five lines", "python"), "README.md", "exec"), {})
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.endswith("(1, 8)")
    assert (work / "runs" / "first" / "report.html").exists()


def test_what_make_demo_calls_is_what_readme_says():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", block("Two commands", "sh"), re.MULTILINE):
        assert re.search(rf"^{target}: .*##", makefile, re.MULTILINE), target


@pytest.fixture(scope="module")
def notebook():
    """examples/notebook.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_notebook", ROOT / "examples" / "notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notebook_is_the_tutorial(notebook):
    made = notebook.render(notebook.PAGE.read_text(encoding="utf-8"))
    assert notebook.NOTEBOOK.read_text(encoding="utf-8") == made, "make pages"
    for link in re.findall(
        r"\]\(([^)#:]+)(?:#[^)]*)?\)", "".join("".join(cell["source"]) for cell in json.loads(made)["cells"])
    ):
        assert (ROOT / "examples" / link).exists(), link


def test_what_the_tutorial_shows_of_own_parts_is_in_the_file(notebook):
    page, file = (
        notebook.PAGE.read_text(encoding="utf-8"),
        (ROOT / "examples" / "own_parts.py").read_text(encoding="utf-8"),
    )
    for shown in notebook.SHOWN_ONLY:
        assert shown in page
        assert shown in file
    for line in ("nn.Parameter(torch.randn(n_outputs, width))", "label_smoothing=0.05"):
        assert line in page
        assert line in file


def test_the_notebook_runs_from_top_to_bottom(notebook, loopback, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install '.[docs]'")
    import nbformat

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    cells = nbformat.reads(notebook.NOTEBOOK.read_text(encoding="utf-8"), as_version=4)
    client = nbclient.NotebookClient(
        cells, timeout=120, kernel_name="python3", resources={"metadata": {"path": ROOT / "examples"}}
    )
    client.execute()
    said = "".join(output.get("text", "") for cell in cells.cells for output in cell.get("outputs", []))
    assert said.count("macro F1 on") == 2
    assert "3 delivered" in said
