import errno
from pathlib import Path

import pytest
import torch

from smallprint.core.errors import SmallprintError, TrainingError
from smallprint.training.checkpoint_io import SafetensorsIO

STATE = {
    "state_dict": {"w": torch.randn(3, 2), "b": torch.tensor([1.0, float("inf")], dtype=torch.bfloat16)},
    "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}, 7: {}}, "param_groups": [{"betas": (0.9, 0.999)}]}],
    "numbers": [0.1 + 0.2, float("-inf"), 2**60, None, True, "text"],
    "#odd": {"#tensor": "not one"},
}


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b and type(a) is type(b)


def test_the_round_trip_is_exact_and_holds_no_pickle(tmp_path):
    path = tmp_path / "c.safetensors"
    SafetensorsIO().save_checkpoint(STATE, path)
    assert same(STATE, SafetensorsIO().load_checkpoint(path))
    raw = path.read_bytes()
    assert raw[8:9] == b"{"
    assert not raw.startswith((b"PK", b"\x80"))


def test_views_of_one_tensor_are_saved_each(tmp_path):
    base = torch.arange(6.0).reshape(2, 3)
    SafetensorsIO().save_checkpoint({"a": base, "b": base, "c": base.T}, tmp_path / "c")
    assert same({"a": base, "b": base, "c": base.T}, SafetensorsIO().load_checkpoint(tmp_path / "c"))


def test_an_object_is_refused(tmp_path):
    with pytest.raises(TypeError, match="object"):
        SafetensorsIO().save_checkpoint({"x": object()}, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"", lambda raw: b"PK" + raw])
def test_a_damaged_file_is_told(tmp_path, damage):
    path = tmp_path / "c"
    SafetensorsIO().save_checkpoint(STATE, path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TrainingError, match="cannot be read"):
        SafetensorsIO().load_checkpoint(path)


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c"
    SafetensorsIO().save_checkpoint({"a": 1}, path)

    def full(self, data):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SmallprintError, match="could not be written"):
        SafetensorsIO().save_checkpoint({"a": 2}, path)
    assert SafetensorsIO().load_checkpoint(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
