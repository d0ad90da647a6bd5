import errno
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from interruptions import bits

from smallprint.core.errors import SmallprintError, TrainingError
from smallprint.training.checkpoint_io import SafetensorsIO, read_checkpoint

STATE = {
    "epoch": 3,
    "inf": float("inf"),
    "minus": float("-inf"),
    "third": 1 / 3,
    "tiny": 5e-324,
    "none": None,
    "yes": True,
    "text": "café",
    "nested": {"pair": (1, (2.5, "x")), "list": [[], {}, ()], "empty": {}},
    "by number": {0: {"step": torch.tensor(3.0)}, 1: "one", (1, 2): "pair", None: 0, 2.5: 1},
    "#tensor": "not a tensor",
    "dict": {"#dict": [1], "#tuple": 2},
    "weights": {
        "bf16": torch.randn(3, 2, dtype=torch.float32).to(torch.bfloat16),
        "fp32": torch.tensor([math.pi, float("nan"), -0.0]),
        "turned": torch.arange(6).reshape(2, 3).T,
        "part": torch.arange(10)[3:5],
        "bool": torch.tensor([True, False]),
        "nothing": torch.empty(0, 4),
        "scalar": torch.tensor(7, dtype=torch.int64),
    },
}


def same(a, b):
    """Equal in type too, keys and all."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(map(repr, a)) == list(map(repr, b)) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bits(a) == bits(b) if isinstance(a, torch.Tensor) else a == b


def test_round_trip_is_exact(tmp_path):
    io, path = SafetensorsIO(), tmp_path / "deep" / "c.safetensors"
    io.save_checkpoint(STATE, path)
    assert same(io.load_checkpoint(path), STATE)


def test_shared_tensors_and_numpy_numbers(tmp_path):
    shared = torch.ones(3)
    SafetensorsIO().save_checkpoint({"a": shared, "b": shared, "n": np.float64(0.1)}, tmp_path / "c")
    back = SafetensorsIO().load_checkpoint(tmp_path / "c")
    assert torch.equal(back["a"], back["b"])
    assert type(back["n"]) is float
    assert back["n"] == 0.1


def test_the_file_is_safetensors_and_no_pickle(tmp_path):
    SafetensorsIO().save_checkpoint(STATE, tmp_path / "c")
    data = (tmp_path / "c").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    assert data[8:9] == b"{"
    assert set(header.pop("__metadata__")) == {"smallprint_checkpoint", "crc32"}
    assert max(entry["data_offsets"][1] for entry in header.values()) + 8 + size == len(data)
    assert not data.startswith((b"PK", b"\x80"))


@pytest.mark.parametrize("harm", ["cut", "tensor", "tree", "empty", "text", "weights", "folder", "away"])
def test_a_damaged_file_is_told(harm, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "c"
    SafetensorsIO().save_checkpoint({"epoch": 1234567, "w": torch.ones(4)}, path)
    data = path.read_bytes()
    last = bytes([data[-1] ^ 1])
    harmed = {"cut": data[:-3], "tensor": data[:-1] + last, "tree": data.replace(b"1234567", b"1234568")}
    harmed |= {"empty": b"", "text": b"hello"}
    if harm in harmed:
        assert harmed[harm] != data
        path.write_bytes(harmed[harm])
    elif harm == "weights":
        save_file({"w": torch.ones(2)}, path)
    else:
        path.unlink()
        if harm == "folder":
            path.mkdir()
    with pytest.raises(TrainingError, match="cannot be read"):
        SafetensorsIO().load_checkpoint(path)
    with pytest.raises(TrainingError):
        read_checkpoint(path)


def test_a_full_disk_leaves_the_old_file_alone(tmp_path, monkeypatch):
    SafetensorsIO().save_checkpoint({"epoch": 1}, tmp_path / "c")

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SmallprintError, match="No space left"):
        SafetensorsIO().save_checkpoint({"epoch": 2}, tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    assert SafetensorsIO().load_checkpoint(tmp_path / "c") == {"epoch": 1}


def test_an_object_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold a set"):
        SafetensorsIO().save_checkpoint({"a": {1}}, tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_removing(tmp_path):
    SafetensorsIO().save_checkpoint({}, tmp_path / "c")
    SafetensorsIO().remove_checkpoint(tmp_path / "c")
    SafetensorsIO().remove_checkpoint(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []
