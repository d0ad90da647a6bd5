"""New texts beside a trained toy model by the command line: what moved, exit codes, bad input."""

import json
import shutil

import polars as pl
import pytest
from typer.testing import CliRunner

from smallprint import api
from smallprint.cli.app import app
from smallprint.core.files import sha256_file
from smallprint.core.settings import build_config

FRENCH = ["Nous pouvons fermer votre compte", "Le tribunal est compétent", "Vous acceptez ces conditions de vente"]
BANK = ["Why was my card declined twice today?", "How do I top up by cheque?", "Is there a fee for cash abroad?"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, labelled_frame):
    """A run with documents, of 300 rows of 50 documents."""
    root = tmp_path_factory.mktemp("monitor")
    frame = labelled_frame("multilabel", 300).with_columns(pl.Series("document", [f"d{i % 50}" for i in range(300)]))
    frame.write_parquet(root / "table.parquet")
    config = build_config(
        {
            "model": {"backbone": "tfidf"},
            "data": {"group": "document", "validation_share": 0.3},
            "tracking": {"enabled": False},
        }
    )
    return api.train(root / "table.parquet", config=config, out=root / "run").run


@pytest.fixture
def same(labelled_frame, tmp_path):
    """A file of new texts of the same kind, with documents."""
    frame = (
        labelled_frame("multilabel", 120)
        .select("text")
        .with_columns(pl.Series("document", [f"n{i % 20}" for i in range(120)]))
    )
    frame.write_csv(tmp_path / "same.csv")
    return tmp_path / "same.csv"


def invoke(*arguments):
    return CliRunner().invoke(app, ["monitor", *map(str, arguments)])


def written(path, texts, documents=None):
    frame = pl.DataFrame({"text": texts, **({} if documents is None else {"document": documents})})
    frame.write_csv(path)
    return path


def test_the_same_kind_is_no_alarm_and_another_is(run, same, tmp_path):
    done = invoke(run, same)
    assert done.exit_code == 0, done.output
    assert "Nothing moved beyond chance" in done.stdout
    assert "20 documents" in done.stdout
    other = written(tmp_path / "bank.csv", BANK * 20, [f"n{i // 3}" for i in range(60)])
    done = invoke(run, other, "--json")
    assert done.exit_code == 9
    found = json.loads(done.stdout)
    assert {"words", "texts"} <= set(found["over"])
    assert found["by_group"] is True
    told = invoke(run, other).stdout
    assert "A classifier tells new texts from known ones" in told
    assert "Words are rarer in training" in told
    assert BANK[0] not in told
    limits = [part for name in ("labels", "scores", "lengths", "texts") for part in ("--limit", f"{name}=1")]
    assert invoke(run, other, *limits, "--limit", "words=1").exit_code == 0
    assert invoke(run, other, *limits, "--limit", "words=0.2").exit_code == 9


def test_a_blank_cell_names_no_document(run, tmp_path):
    from smallprint.monitor import read_new

    table = written(tmp_path / "blank.csv", ["we may pay", "you may not", "it ends"], ["", "d1", " "])
    assert read_new(table, None, None, api.load(run), lambda line: None)[1] == [None, "d1", None]


def test_texts_of_another_language(run, tmp_path):
    done = invoke(run, written(tmp_path / "f.csv", FRENCH * 20), "--json")
    assert done.exit_code == 9
    found = json.loads(done.stdout)
    assert "words" in found["over"]
    assert any("Documents of the new texts are not known" in note for note in found["notes"])


def test_documents_can_be_left_out(run, same):
    assert "are taken together" in invoke(run, same).stderr
    done = invoke(run, same, "--group", "", "--json")
    assert json.loads(done.stdout)["by_group"] is False
    assert "are taken together" not in done.stderr


def test_a_text_file_and_blank_lines(run, tmp_path):
    (tmp_path / "new.txt").write_text("\n\n".join(BANK * 10))
    done = invoke(run, tmp_path / "new.txt")
    assert done.exit_code == 9
    assert "29 rows without text left out" in done.stderr


@pytest.mark.parametrize(
    ("content", "arguments", "code", "said"),
    [
        ("", (), 3, "is empty"),
        ("text\n", (), 3, "has no rows"),
        ("text\nwe may close your account\n", (), 3, "There is 1 new text"),
        ("text\n" + "   \n" * 30, (), 3, "There are 0 new texts"),
        ("text,n\n" + "we may pay,1\n" * 30, ("--text", "body"), 3, "no column 'body'"),
        ("text,n\n" + "we may pay,1\n" * 30, ("--group", "contract"), 3, "no column 'contract'"),
        ("text,document\n" + "we may pay,x\n" * 30, (), 3, "too few ways to part them"),
        ("text\n" + "we may pay\n" * 30, ("--limit", "words"), 2, "MEASURE=SIZE"),
        ("text\n" + "we may pay\n" * 30, ("--limit", "word=1"), 2, "no measure 'word'"),
        ("text\n" + "we may pay\n" * 30, ("--limit", "words=-1"), 2, "limit of words"),
        ("text\n" + "we may pay\n" * 30, ("--alpha", "0.9"), 2, "alpha is 0.9"),
    ],
)
def test_bad_input_is_told(run, tmp_path, content, arguments, code, said):
    path = tmp_path / "new.csv"
    path.write_text(content)
    done = invoke(run, path, *arguments)
    assert done.exit_code == code, done.output
    assert said in done.output


def test_a_column_without_text(run, tmp_path):
    pl.DataFrame({"text": list(range(40)), "n": [0.5] * 40}).write_parquet(tmp_path / "n.parquet")
    for arguments in ((), ("--text", "text")):
        done = invoke(run, tmp_path / "n.parquet", *arguments)
        assert done.exit_code == 3, done.output
        assert "What to do" in done.output


def aged(run, tmp_path, change):
    """Gives a copy of the run's bundle with a changed manifest and no reference, or another."""
    bundle = tmp_path / "old"
    shutil.copytree(run / "bundle", bundle)
    tree = json.loads((bundle / "manifest.json").read_text())
    change(bundle, tree)
    (bundle / "manifest.json").write_text(json.dumps(tree))
    return bundle


def test_a_bundle_without_reference_asks_for_one(run, same, tmp_path):
    def without(bundle, tree):
        (bundle / "reference.safetensors").unlink()
        del tree["files"]["reference.safetensors"]

    bundle = aged(run, tmp_path, without)
    done = invoke(bundle, same)
    assert done.exit_code == 6
    assert "--reference DATA" in done.output
    data = run.parent / "table.parquet"
    by_data = invoke(bundle, same, "--reference", data, "--json")
    assert by_data.exit_code == 0, by_data.output
    assert json.loads(by_data.stdout)["measures"] == json.loads(invoke(run, same, "--json").stdout)["measures"]
    assert invoke(bundle, same, "--reference", tmp_path / "none.csv").exit_code == 3


def test_newer_bundles_and_references_are_refused(run, same, tmp_path):
    done = invoke(aged(run, tmp_path, lambda bundle, tree: tree.update(format_version=99)), same)
    assert done.exit_code == 6
    assert "Update smallprint" in done.output

    def newer(bundle, tree):
        from safetensors.numpy import load, save

        path = bundle / "reference.safetensors"
        path.write_bytes(save(load(path.read_bytes()), {"version": "2"}))
        tree["files"]["reference.safetensors"] = sha256_file(path)

    done = invoke(aged(run, tmp_path / "b", newer), same)
    assert done.exit_code == 6
    assert "of version 2" in done.output


def test_it_can_be_left_out(tmp_path, labelled_frame):
    labelled_frame("multilabel", 160).write_parquet(tmp_path / "d.parquet")
    config = build_config(
        {"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}, "evaluation": {"reference": False}}
    )
    bundle = api.train(tmp_path / "d.parquet", config=config, out=tmp_path / "run").bundle
    assert not (bundle / "reference.safetensors").exists()
