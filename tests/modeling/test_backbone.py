import contextlib
import json
import shutil

import pytest
import torch
from torch import nn

from smallprint.core.errors import TrainingError
from smallprint.modeling.backbone import (
    build_backbone,
    length_limit,
    load_backbone,
    load_tokenizer,
    use_attention,
    width_of,
)
from smallprint.modeling.sources import resolve_backbone


@pytest.fixture
def folder(tiny_backbone, tmp_path):
    shutil.copytree(tiny_backbone, tmp_path / "copy")
    return tmp_path / "copy"


def change(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def test_a_folder_loads_the_same_weights_each_time(tiny_backbone):
    first, second = load_backbone(str(tiny_backbone)), load_backbone(str(tiny_backbone))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert {p.dtype for p in first.parameters()} == {torch.float32}
    assert (width_of(first), length_limit(first)) == (32, 128)
    ids = torch.tensor([[1, 2, 3]])
    assert first(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.shape == (1, 3, 32)


def test_the_architecture_alone(tiny_backbone):
    built, loaded = build_backbone(tiny_backbone), load_backbone(str(tiny_backbone))
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in loaded.state_dict().items()}


@pytest.mark.parametrize("load", [load_backbone, load_tokenizer])
@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c"])
def test_an_unknown_folder(load, name):
    with pytest.raises(TrainingError, match=r"(?s)does not exist.*Without a network.*hf download"):
        load(name)


@pytest.mark.parametrize("load", [load_backbone, load_tokenizer])
def test_a_folder_without_a_checkpoint(load, tmp_path):
    with pytest.raises(TrainingError, match=r"has no config\.json"):
        load(str(tmp_path))


@pytest.mark.parametrize("load", [load_backbone, load_tokenizer])
def test_a_hub_name_without_a_network(load):
    with pytest.raises(TrainingError, match=r"(?s)'nobody/nothing' cannot be loaded.*Without a network.*hf download"):
        load("nobody/nothing")


@pytest.mark.parametrize("model_type", ["bert", "newfangled"])
@pytest.mark.parametrize("load", [load_backbone, load_tokenizer])
def test_code_that_comes_with_a_checkpoint_is_never_run(load, model_type, folder, tmp_path):
    trap = tmp_path / "sprung"
    (folder / "evil.py").write_text(f"open({str(trap)!r}, 'w')\n")
    auto = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config", "AutoTokenizer": ["evil.T", None]}
    change(folder, auto_map=auto, model_type=model_type)
    if load is load_backbone and model_type == "newfangled":
        with pytest.raises(TrainingError, match="runs code of its own"):
            load(str(folder))
    elif load is load_backbone:  # a kind that transformers has: its own code is what runs
        assert type(load(str(folder))).__module__.startswith("transformers.")
    else:
        with contextlib.suppress(TrainingError):
            load(str(folder))
    assert not trap.exists()


def test_a_pickle_checkpoint_is_refused(folder):
    torch.save(load_backbone(str(folder)).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"pytorch_model.bin and no safetensors"):
        load_backbone(str(folder))


def test_weights_that_are_missing_are_told(folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights = {k: v for k, v in weights.items() if "layer.1." not in k and "pooler" not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match=r"lacks \d+ weights, first encoder\.layer\.1"):
        load_backbone(str(folder))


def test_a_pooler_may_be_missing(folder):
    from safetensors.torch import load_file, save_file

    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "pooler" not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    load_backbone(str(folder))


@pytest.mark.parametrize("harm", ["cut", "config", "shape"])
def test_a_damaged_folder_is_told(harm, folder):
    if harm == "cut":
        (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-7])
    elif harm == "config":
        (folder / "config.json").write_text("{")
    else:
        change(folder, intermediate_size=65)
    with pytest.raises(TrainingError, match="cannot be loaded"):
        load_backbone(str(folder))


def test_the_embedded_one():
    from pathlib import Path

    assert (Path(resolve_backbone("minilm")) / "config.json").is_file()
    assert resolve_backbone("a/b") == "a/b"


def test_width_and_limit_of_own_backbones():
    own = nn.Linear(2, 2)
    assert length_limit(own) is None
    with pytest.raises(TrainingError, match="does not tell the width"):
        width_of(own)
    own.hidden_size = 7
    assert width_of(own) == 7
    use_attention(own, "eager")


def test_learned_positions_that_are_reserved():
    from types import SimpleNamespace

    own = nn.Linear(2, 2)
    own.config = SimpleNamespace(max_position_embeddings=514, model_type="roberta")
    assert length_limit(own) == 512


def test_attention_kinds_agree(tiny_backbone):
    model = load_backbone(str(tiny_backbone)).eval()
    ids, mask = torch.tensor([[2, 7, 8, 3, 0]]), torch.tensor([[1, 1, 1, 1, 0]])
    found = []
    for kind in ("eager", "sdpa"):
        use_attention(model, kind)
        assert model.config._attn_implementation == kind
        with torch.no_grad():
            found.append(model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :4])
    assert torch.allclose(*found, atol=1e-5)
