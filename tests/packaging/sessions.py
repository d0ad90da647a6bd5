"""Sessions of onnxruntime that multiply 8 bits as ours do: on processors that overflow, weights are made unsigned first."""

import onnxruntime

from smallprint.modeling.onnx_runtime import UNSIGNED, overflows


def open_session(content, unsigned=None):
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(UNSIGNED, str(int(overflows() if unsigned is None else unsigned)))
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
