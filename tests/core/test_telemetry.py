"""Libraries report nothing to their makers, also where the command line is not used."""

import os
import subprocess
import sys

import pytest

from smallprint.core.errors import BundleError
from smallprint.core.telemetry import OFF, openvino_unreported, switch_off_telemetry
from smallprint.packaging.bundle import load_bundle

SESSION = """
from onnx import TensorProto, helper
from smallprint.core.telemetry import switch_off_telemetry
switch_off_telemetry()
import onnxruntime
there = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "ab"]
graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", there[:1], there[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


def test_the_environment_has_the_last_word(monkeypatch):
    for name in OFF:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    switch_off_telemetry()
    assert {name: os.environ[name] for name in OFF} == {**OFF, "DO_NOT_TRACK": "0"}


def test_loading_a_bundle_switches_it_off(monkeypatch, tmp_path):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    with pytest.raises(BundleError):
        load_bundle(tmp_path)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_two_threads_may_import_openvino_at_once():
    with openvino_unreported():
        sys.modules.pop("openvino.tools.ovc", None)  # as the other leaves it
    assert "openvino.tools.ovc" not in sys.modules


def test_onnxruntime_leaves_nothing_in_the_home_folder(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    environment = {name: value for name, value in os.environ.items() if name not in OFF}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", SESSION], env=environment, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []
