import json
import shutil

import pytest

from smallprint.core.errors import TrainingError
from smallprint.modeling.backbone import load_backbone, load_tokenizer
from smallprint.modeling.sources import find_place, missing_files, resolve_backbone


def test_places(tmp_path):
    assert find_place("legal-bert").path == "nlpaueb/legal-bert-base-uncased"
    assert find_place("legal-bert").revision == "main"
    assert find_place("legal-bert", "abc").revision == "abc"
    assert find_place("own/name", "abc") == find_place("own/name", "abc")
    assert find_place("own/name").path == "own/name"
    assert find_place(f"{tmp_path}/model.gguf").more == {"gguf_file": "model.gguf"}
    assert resolve_backbone("minilm").endswith("model")
    assert resolve_backbone("tfidf-svm") == "tfidf-svm"


def test_offline_says_which_files_the_cache_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert missing_files("legal-bert") == ["config.json", "tokenizer.json", "model.safetensors"]
    snapshot = tmp_path / "models--nlpaueb--legal-bert-base-uncased" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0123")
    for name in ("config.json", "tokenizer_config.json"):
        (snapshot / name).write_text("{}")
    assert missing_files("legal-bert") == ["model.safetensors"]
    (snapshot / "model.safetensors").write_bytes(b"")
    assert missing_files("legal-bert") == []


@pytest.mark.parametrize("load", [load_tokenizer, load_backbone])
def test_a_preset_that_is_not_there(load, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TrainingError) as caught:
        load("caselaw-bert")
    assert "HF_HUB_OFFLINE is set, and the local cache lacks its config.json, tokenizer.json, model.safetensors" in str(
        caught.value
    )
    assert "hf download" in str(caught.value)


def test_a_misspelt_name(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(TrainingError, match="Did you mean 'legal-bert'"):
        load_backbone("legal-brt")
    with pytest.raises(TrainingError) as caught:
        load_backbone("somebody/legal-brt")
    assert "Did you mean" not in str(caught.value)


def test_pickle_is_named_and_never_read(tiny_backbone, tmp_path):
    folder = tmp_path / "old"
    shutil.copytree(tiny_backbone, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(TrainingError, match="pytorch_model.bin and no safetensors: that file is pickle") as caught:
        load_backbone(str(folder))
    assert "refs/pr" in str(caught.value)


def test_code_of_its_own(tiny_backbone, tmp_path):
    folder = tmp_path / "own"
    shutil.copytree(tiny_backbone, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "somebodys", "auto_map": {"AutoModel": "code.Model", "AutoConfig": "code.Config"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(TrainingError, match="runs code of its own"):
        load_backbone(str(folder))
