"""A model's life on a local store: promoted, refused, found by its alias, rolled back; and what is wrong is said."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint.cli.app import main
from smallprint.core.errors import BundleError, ConfigError
from smallprint.core.mlflow_store import open_client, told
from smallprint.inference.engine import load_engine
from smallprint.packaging.bundle import find_bundle
from smallprint.packaging.registered import HASH, read_word
from smallprint.registry.history import read_history, write_history
from smallprint.registry.listing import list_models
from smallprint.registry.promote import promote, rollback

TEXTS = ["we may scarlet", "the leaf", "nothing"]


def command(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.slow
def test_the_whole_way(two_runs, store, capsys, tmp_path):
    good, bad = two_runs["good"], two_runs["bad"]
    assert command(capsys, "promote", good, "--as", "toys")[:2] == (0, "toys@1\n")
    first = smallprint.predict("toys@champion", TEXTS)
    np.testing.assert_array_equal(first.scores, smallprint.predict(good, TEXTS).scores)

    # worse: refused, with both scores, the difference and its interval; nothing moved
    code, out, err = command(capsys, "promote", bad, "--as", "toys")
    assert (code, out) == (6, "")
    said = err.partition("Error: ")[2]
    assert "is worse than toys version 1. f1_macro 0." in said
    assert "the one before" in said
    assert "-0." in said
    assert "] on its 40 test rows (10 groups)" in said
    assert [version["version"] for version in list_models("toys")[0]["versions"]] == [1]

    # forced, then as good: the same model again
    code, out, _ = command(capsys, "promote", bad, "--as", "toys", "--force", "--json")
    assert json.loads(out)["version"] == 2
    code, out, err = command(capsys, "promote", good, "--as", "toys", "--json")
    verdict = json.loads(out)["verdict"]
    assert verdict["difference"] > 0.05
    assert verdict["low"] > 0
    assert "better than version 2" in err
    (model,) = list_models("toys")
    assert model["aliases"] == {"champion": 3}
    assert model["history"] == {"champion": [1, 2, 3]}
    newest = model["versions"][0]
    assert newest["run"] == str(good)
    assert newest["score"] == pytest.approx(
        json.loads((good / "metrics.json").read_text())["test"]["values"]["f1_macro"], abs=1e-6
    )
    assert model["versions"][1]["forced"] == ["champion"]

    # the registry does not need the run folder
    assert smallprint.predict("toys@2", TEXTS).labels == smallprint.predict(bad, TEXTS).labels

    # back, further back, and no further
    assert command(capsys, "rollback", "toys")[1] == "toys@2\n"
    assert command(capsys, "rollback", "toys")[1] == "toys@1\n"
    code, _, err = command(capsys, "rollback", "toys")
    assert code == 6
    assert "named none before it" in err
    # an old version again: no copy is made, only the alias moves
    assert command(capsys, "promote", "toys@3", "--as", "toys")[1] == "toys@3\n"
    (model,) = list_models("toys")
    assert model["history"] == {"champion": [1, 3]}
    assert [[*version["rolled_back"]] for version in model["versions"]] == [[], ["champion"], []]
    assert {version["n_test"] for version in model["versions"]} == {40}

    code, out, _ = command(capsys, "models")
    assert "toys: 3 versions; champion = 3" in out
    code, out, _ = command(capsys, "models", "toys")
    assert "forced" in out
    assert "history of champion: 1, 3" in out
    assert json.loads(command(capsys, "models", "--json")[1])[0]["name"] == "toys"

    # wherever a MODEL stands
    pl.DataFrame({"text": TEXTS}).write_csv(tmp_path / "in.csv")
    assert command(capsys, "predict", "toys@champion", tmp_path / "in.csv", "-o", tmp_path / "out.csv")[0] == 0
    assert pl.read_csv(tmp_path / "out.csv").height == 3
    assert json.loads(command(capsys, "evaluate", "toys@champion", two_runs["table"], "--json")[1])["n_examples"] == 40
    (tmp_path / "terms.txt").write_text("We may scarlet. The leaf.")
    assert json.loads(command(capsys, "scan", "toys@3", tmp_path / "terms.txt", "--format", "json")[1])["documents"]
    code, _, err = command(capsys, "policy", "toys@3", two_runs["table"], "--save")
    assert (code, "does not change" in err) == (2, True)
    code, _, err = command(capsys, "export", "toys@3", "--to", "onnx")
    assert (code, "no encoder" in err, "scored" in err) == (7, True, False), "before anything is scored"


@pytest.fixture
def one_version(two_runs, store):
    promote(two_runs["good"], "toys")
    return store


@pytest.mark.slow
def test_what_is_not_there_is_said_with_what_is(one_version, capsys, tmp_path, monkeypatch):
    for word, found in (
        ("toys@nobody", "has no alias 'nobody'.\nExpected: one of its aliases: champion (version 1)"),
        ("toys@9", "has no version 9."),
        ("cars@champion", "There is no registered model 'cars'"),
        ("cars@3", "there are: toys."),
    ):
        code, _, err = command(capsys, "predict", word, "x.csv")
        assert code == 6
        assert found in err
    assert command(capsys, "models", "cars")[0] == 6
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    code, _, err = command(capsys, "predict", "toys@champion", "x.csv")
    assert "There is no tracking store at" in err
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.slow
def test_a_copy_that_was_changed_is_fetched_again_and_a_changed_store_is_refused(one_version, tmp_path):
    folder = find_bundle("toys@champion")
    assert find_bundle("toys@1") == folder
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"x")
    assert find_bundle("toys@champion") == folder
    assert weights.read_bytes() == content
    shutil.rmtree(tmp_path / "cache")
    (stored,) = (tmp_path / "runs").rglob("artifacts/bundle/model.safetensors")
    stored.write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match="changed or damaged"):
        find_bundle("toys@champion")
    shutil.rmtree(stored.parent)
    with pytest.raises(BundleError):
        find_bundle("toys@champion")
    assert not folder.exists()


@pytest.mark.slow
def test_a_bundle_of_a_newer_version_is_refused_and_nothing_registered(two_runs, store, changed, tmp_path):
    newer = changed(shutil.copytree(two_runs["good"] / "bundle", tmp_path / "newer"), format_version=99)
    with pytest.raises(BundleError, match="format version 99"):
        promote(newer, "toys")
    assert list_models() == []
    promote(two_runs["good"], "toys")
    (stored,) = (tmp_path / "runs").rglob("artifacts/bundle/manifest.json")
    changed(stored.parent, format_version=99)
    client = open_client(store)
    import hashlib

    digest = hashlib.sha256(stored.read_bytes()).hexdigest()
    client.set_model_version_tag("toys", "1", "smallprint.manifest_sha256", digest)
    with pytest.raises(
        BundleError, match="toys@champion version 1 has format version 99|toys version 1 has format version 99"
    ):
        find_bundle("toys@champion")


@pytest.mark.slow
def test_rows_of_the_champion_that_are_gone_are_said(two_runs, store, tmp_path):
    table = shutil.copy(two_runs["table"], tmp_path / "d.parquet")
    run = tmp_path / "run"
    shutil.copytree(two_runs["good"], run)
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "data": str(table)}))
    promote(run, "toys")
    frame = pl.read_parquet(table)
    frame.with_columns(text=pl.col("text") + "!").write_parquet(table)
    said = []
    promote(two_runs["good"], "toys", say=said.append)
    assert any("have changed since (another fingerprint)" in line for line in said)
    assert any(f"the test rows that {run} keeps" in line for line in said)
    rollback("toys")
    Path(table).unlink()
    shutil.rmtree(run)
    with pytest.raises(BundleError, match=r"can no longer be read .*does not keep them either"):
        promote(two_runs["good"], "toys")
    assert promote(two_runs["good"], "toys", force=True).before == 1


@pytest.mark.slow
def test_a_store_that_is_locked_is_said_and_nothing_moves(one_version, store, tmp_path):
    file = tmp_path / "runs" / "mlflow.db"
    holder = sqlite3.connect(file, isolation_level=None)
    code = "import sys\nfrom smallprint.cli.app import main\nmain(sys.argv[1:])"
    with sqlite3.connect(file) as connection:
        before = connection.execute("select * from registered_model_aliases").fetchall()
    holder.execute("begin exclusive")
    done = subprocess.run([sys.executable, "-c", code, "rollback", "toys"], capture_output=True, text=True, timeout=120)
    holder.execute("rollback")
    assert done.returncode == 6
    assert "is locked by another program" in done.stderr
    assert "Traceback" not in done.stderr
    with sqlite3.connect(file) as connection:
        assert connection.execute("select * from registered_model_aliases").fetchall() == before
    read_only = sqlite3.OperationalError("attempt to write a readonly database")
    assert "may not be written" in told(store, read_only).found


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="files are closed by rights that Windows has not")
def test_a_store_that_is_read_only_can_be_read(one_version, capsys, tmp_path):
    file = tmp_path / "runs" / "mlflow.db"
    root = os.getuid() == 0
    close, back = (
        (["chattr", "+i", file], ["chattr", "-i", file]) if root else (["chmod", "444", file], ["chmod", "644", file])
    )
    if shutil.which(close[0]) is None or subprocess.run(close, capture_output=True).returncode:
        pytest.skip("files of this file system cannot be closed to the superuser")
    try:
        assert smallprint.predict("toys@champion", TEXTS).labels
        code, out, err = command(capsys, "promote", "toys@1", "--as", "toys", "--force")
        assert (code, out) == (6, "")
        assert "may not be written" in err
        assert "Traceback" not in err
    finally:
        subprocess.run(back, check=True)


@pytest.mark.slow
def test_two_promotions_at_once_give_one_result_and_lose_nothing(two_runs, store):
    code = "import sys\nfrom smallprint.cli.app import main\nmain(sys.argv[1:])"
    words = ["promote", str(two_runs["good"]), "--as", "toys", "--json"]
    several = [
        subprocess.Popen(
            [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=200) for process in several]
    assert [process.returncode for process in several] == [0, 0], ended
    done = sorted((json.loads(out) for out, _ in ended), key=lambda one: one["before"] or 0)
    (model,) = list_models("toys")
    assert {one["version"] for one in done} == {1, 2}
    assert model["aliases"] == {"champion": done[1]["version"]}
    assert model["history"]["champion"] == [done[0]["version"], done[1]["version"]]
    assert (done[0]["before"], done[1]["before"]) == (None, done[0]["version"])
    assert done[1]["verdict"]["difference"] == 0  # the later one was compared with the earlier one
    assert not [entry.name for entry in open_client(store).search_registered_models() if "lock" in entry.name]


@pytest.mark.slow
def test_a_promotion_that_is_cut_off_before_the_alias_moved_was_none(two_runs, one_version, monkeypatch):
    def cut(self, *_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.set_registered_model_alias", cut)
        with pytest.raises(KeyboardInterrupt):
            promote(two_runs["good"], "toys")
    (model,) = list_models("toys")
    assert (model["aliases"], model["history"]) == ({"champion": 1}, {"champion": [1]})
    assert [version["promoted"] is None for version in model["versions"]] == [True, False]
    with monkeypatch.context() as patch:  # and one that is cut off right after it has its notes
        real = type(open_client(one_version)).set_registered_model_alias
        patch.setattr("mlflow.MlflowClient.set_registered_model_alias", lambda *given: (real(*given), cut(None)))
        with pytest.raises(KeyboardInterrupt):
            promote("toys@2", "toys")
    newest = list_models("toys")[0]["versions"][0]
    assert newest["aliases"] == ["champion"]
    assert newest["promoted"]
    assert newest["verdict"]["champion"]["difference"] == 0


class Model:
    def __init__(self, kept, now):
        self.tags = {"smallprint.history.champion": json.dumps(kept)} if kept is not None else {}
        self.aliases = {} if now is None else {"champion": str(now)}


@pytest.mark.parametrize(
    ("kept", "now", "history"),
    [
        ([1, 2], 2, [1, 2]),
        ([1, 2, 3], 2, [1, 2]),  # a promotion that was cut after it had written the history
        ([1, 2], 5, [1, 2, 5]),  # moved by hand
        (None, 4, [4]),
        ([1, 2], None, []),
        ([1, 2, 1], 1, [1, 2, 1]),
    ],
)
def test_the_history_follows_where_the_alias_stands(kept, now, history):
    assert read_history(Model(kept, now), "champion") == history


@pytest.mark.parametrize(
    "name", ["a@b", "a/b", "a:b", "", " a", "a=b", "x.smallprint-lock", "x.smallprint-lock-1", 'a"b']
)
def test_names_that_no_word_could_hold(two_runs, name):
    with pytest.raises(ConfigError):
        promote(two_runs["good"], name)


def test_a_name_with_an_apostrophe(store):
    client, name = open_client(store), "Anna's 50% -- 'clauses'"
    client.create_registered_model(name, tags={"smallprint": "1"})
    for number in (1, 2):
        client.create_model_version(name, f"file:///{number}", tags={HASH: "0" * 64})
    client.set_registered_model_alias(name, "champion", "2")
    write_history(client, name, "champion", [1, 2])
    client.create_registered_model(f"{name}.smallprint-lock-1", tags={"since": "0"})
    assert rollback(name) == (1, 2)
    (model,) = list_models()
    assert (model["aliases"], [version["version"] for version in model["versions"]]) == ({"champion": 1}, [2, 1])
    assert [entry.name for entry in client.search_registered_models()] == [name], "remains of old locks are swept up"


@pytest.mark.parametrize("alias", ["3", "v3", "latest", "a b", "", "a@b"])
def test_aliases_that_mlflow_keeps_for_itself(two_runs, alias):
    with pytest.raises(ConfigError):
        promote(two_runs["good"], "toys", alias)


def test_a_path_stays_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_word("toys@champion").which == "champion"
    assert read_word("toys@3").is_version
    for path in ("toys", "./toys@champion", "runs/toys@champion", Path("/toys@champion"), "a@b@c"):
        assert read_word(path) is None
    (tmp_path / "toys@champion").mkdir()
    assert read_word("toys@champion") is None


def test_a_folder_needs_no_mlflow(toy_run):
    code = "import sys\nimport smallprint\nsmallprint.predict(sys.argv[1], ['a'])\nassert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(toy_run)], check=True, timeout=120)
    assert load_engine(find_bundle(toy_run))
