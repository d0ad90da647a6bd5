"""The card and the data sheet: what the Hub's own parser reads of them, and that they claim nothing nobody stated."""

import json
import re
import shutil
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load

from smallprint import api, papers
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.run import open_run
from smallprint.core.settings import build_config
from smallprint.packaging.card import describe_backbone, rare_labels, render_card, render_sheet
from smallprint.packaging.card_facts import CardFacts
from smallprint.packaging.card_metadata import front_matter
from smallprint.packaging.manifest import read_manifest

ODD = ("{{", "TODO", "None", "[More Information Needed]", "nan", "undefined", "FIXME")


def facts(task="multilabel", **changes):
    names = ["fair | <b>", "unfair_*"]
    manifest = {
        "task": task,
        "family": "linear",
        "label_names": names,
        "thresholds": [0.5] * (1 if task == "binary" else 2),
        "versions": {"smallprint": "0.1.0"},
        "metrics": {"test": {"f1": 0.5, "f1_macro": 0.5, "accuracy": 0.25}},
        "data": {
            "label_names": names,
            "rows": {"train": 10, "test": 4},
            "labels": {"train": dict(zip(names, (60, 3), strict=True)), "test": dict(zip(names, (40, 1), strict=True))},
            "fingerprints": {"train": "ab"},
        },
    }
    return CardFacts(
        **{"name": "m", "manifest": manifest, "config": build_config({"model": {"backbone": "tfidf"}})} | changes
    )


@pytest.fixture(scope="module")
def run(toy_run, tmp_path_factory):
    folder = shutil.copytree(toy_run, tmp_path_factory.mktemp("card") / "colours")
    papers.write_card(open_run(folder))
    return folder


def test_training_writes_both_beside_the_bundle_which_stays_whole(toy_run):
    assert (toy_run / "README.md").is_file()
    assert (toy_run / "DATASHEET.md").is_file()
    assert not [name for name in read_manifest(toy_run / "bundle")["files"] if name.endswith(".md")]
    api.load(toy_run)


def test_the_hub_reads_the_scores_of_the_run(run):
    card = ModelCard.load(run / "README.md")
    saved = json.loads((run / "metrics.json").read_text())
    assert card.data.model_name == "colours"
    assert card.data.library_name == "smallprint"
    assert card.data.pipeline_tag == "text-classification"
    found = {result.metric_name: result for result in card.data.eval_results}
    assert found["f1 macro"].metric_value == pytest.approx(saved["test"]["values"]["f1_macro"], abs=1e-6)
    assert found["f1 macro"].dataset_split == "test"
    assert metadata_load(run / "README.md")["model-index"][0]["results"][0]["dataset"]["name"] == "d.parquet"
    again = ModelCard(str(card))
    assert again.data.to_dict() == card.data.to_dict()


def test_nothing_is_left_open_and_nothing_made_up(run):
    for name in ("README.md", "DATASHEET.md"):
        text = (run / name).read_text(encoding="utf-8")
        assert not [odd for odd in ODD if odd in text]
        assert "not stated by its owner" in text
        assert str(run.parent) not in text
        assert "\n\n\n" not in text
    tree = metadata_load(run / "README.md")
    assert not {"license", "language", "base_model", "datasets"} & tree.keys()


def test_it_holds_what_the_run_found(run):
    card, sheet = ((run / name).read_text(encoding="utf-8") for name in ("README.md", "DATASHEET.md"))
    saved = json.loads((run / "metrics.json").read_text())
    assert re.search(r"macro F1 \*\*[01]\.\d{3}\*\* \(95% interval [01]\.\d{3} to [01]\.\d{3}", card)
    for row in saved["test"]["per_label"]:
        assert f"| {row['label']} | {row['support']} | {row['precision']:.3f}" in card
        assert f"| {row['label']} | {row['threshold']:.3f} |" in card
    for split, fingerprint in saved["data"]["fingerprints"].items():
        assert f"{split}: `{fingerprint}`" in sheet
        assert fingerprint in card
    n, rows = saved["data"]["labels"]["train"]["red"], saved["data"]["rows"]["train"]
    assert f"| red | {n} ({100 * n / rows:.1f}%)" in sheet
    assert "Seed: 42" in card


def test_what_the_owner_states_is_kept(toy_run, tmp_path):
    run = shutil.copytree(toy_run, tmp_path / "run")
    stated = [
        "card.licence=apache-2.0",
        "card.language=en",
        'card.use="To sort paints."',
        "card.data_origin=Written by us.",
    ]
    papers.write_card(open_run(run), stated)
    papers.write_card(open_run(run), ["card.licence=For our own use alone"])
    card, tree = (run / "README.md").read_text(), metadata_load(run / "README.md")
    assert "To sort paints." in card
    assert "Written by us." in (run / "DATASHEET.md").read_text()
    assert (tree["language"], tree["license"], tree["license_name"]) == ("en", "other", "for-our-own-use-alone")
    with pytest.raises(ConfigError, match="no setting of the card"):
        papers.write_card(open_run(run), ["training.seed=7"])


def test_a_run_that_has_not_finished_has_no_card(tmp_path):
    (tmp_path / "run.json").write_text('{"data": "x"}')
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(TrainingError, match="--resume"):
        papers.write_card(open_run(tmp_path))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_every_task_and_names_with_markup(task):
    text = render_card(facts(task))
    tree = yaml.safe_load(text.split("---")[1])
    assert tree["tags"][-1] == task
    assert tree["model-index"][0]["results"][0]["metrics"]
    for line in (text + render_sheet(facts(task))).splitlines():
        assert "<b>" not in line
        if line.startswith("| fair"):
            assert r"fair \| \<b\>" in line
    ModelCard(text)


def test_rare_labels_are_named_with_their_numbers():
    assert rare_labels(facts()) == [("unfair_*", 3, 1)]
    assert r"unfair\_\* (n = 3 in train, 1 in test)" in render_card(facts())


@pytest.mark.parametrize(
    ("backbone", "base"),
    [
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2"),
        ("legal-bert", "nlpaueb/legal-bert-base-uncased"),
        ("acme/own-bert", "acme/own-bert"),
        ("/home/anna/secret/bert", None),
        ("tfidf", None),
        ("stack", None),
    ],
)
def test_the_backbone_is_named_and_no_folder_is(backbone, base):
    made = facts(config=build_config({"model": {"backbone": backbone}}))
    assert yaml.safe_load(front_matter(made).strip("-\n")).get("base_model") == base
    assert "secret" not in render_card(made)


def test_leaks_are_said():
    assert "2 test texts stand in what was learned from" in render_card(facts(leaked=2))
    assert "No test text stands" in render_card(facts(leaked=0))
    assert "not known to the bundle alone" in render_sheet(facts())


@pytest.mark.parametrize("backbone", ["static", "/home/anna/secret/encoder"])
def test_no_folder_of_this_machine_stands_in_what_a_model_stands_on(backbone):
    model = {"backbone": backbone, "static": {"encoder": "/home/anna/secret/encoder"}}
    said = describe_backbone(build_config({"model": model}))
    assert "encoder" in said
    assert "anna" not in said


@pytest.mark.parametrize("file", ["words.json", "members/terms-1/terms.json"])
def test_a_vocabulary_is_said_to_hold_words_of_the_training_texts_wherever_it_stands(file):
    told = "part of the model's files;\nits vocabulary, and hashes of the training texts, are."
    known = facts()
    assert told in render_card(replace(known, manifest={**known.manifest, "files": {file: "0"}}))
    assert "its vocabulary" not in render_card(replace(known, manifest={**known.manifest, "files": {}}))
