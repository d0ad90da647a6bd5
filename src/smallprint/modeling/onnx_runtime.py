"""What runs a model in ONNX: onnxruntime or OpenVINO. In: the content of a file. Out: a function from ids and mask to logits.

Neither library is known to the scorer. It tokenizes nothing and plans no batches.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smallprint.core.errors import BundleError, MissingExtraError
from smallprint.core.telemetry import openvino_unreported

Runtime = Literal["onnxruntime", "openvino"]
IDS, MASK, LOGITS = "input_ids", "attention_mask", "logits"
# joined to one operator, these steps take longer on a processor than one after the other, layer norms several times as long
SLOW = ["SkipLayerNormFusion", "BiasGeluFusion"]
# a thread that waits for its part of the next step does so in a loop: waking it takes as long as many a step of one short text. It
# sleeps between calls, and batches side by side have one thread each, so that no core is taken from another batch
SPINNING, STOP_SPINNING = "session.intra_op.allow_spinning", "session.force_spinning_stop"
# makes weights of 8 signed bits unsigned when a model is opened: products take more than twice as long, and cannot overflow
UNSIGNED = "session.x64quantprecision"
GROUP = "128"  # numbers of a token's vector that share a scale when OpenVINO rounds it


@dataclass(frozen=True)
class Opened:
    """A model that is ready.

    Attributes:
        run: From ids and mask, int64 `[n, length]`, to logits, float32 `[n, n_outputs]`; several threads may call it at once. The
            third says whether many batches are under way.
        at_once: Batches that are best scored side by side.
        padding: A text is to be padded to the next multiple of it, and to share batches with texts of that length alone; 0 where
            padding changes no score.
        batch_tokens: Of a batch that is scored fastest.
    """

    run: Callable[[NDArray[np.int64], NDArray[np.int64], bool], NDArray[np.float32]]
    at_once: int
    padding: int
    batch_tokens: int


def open_model(model: bytes, runtime: Runtime, threads: int) -> Opened:
    """Makes a model ready.

    Args:
        model: The content of a .onnx file.
        runtime: What shall run it.
        threads: Of one call.

    Raises:
        MissingExtraError: The runtime is not installed.
        BundleError: It cannot read the model.
    """
    return (_by_openvino if runtime == "openvino" else _by_onnxruntime)(model, threads)


def overflows(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Says whether sums of products of 8 bits may overflow in silence: on Intel's and AMD's processors without VNNI, or unknown ones."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return "vnni" not in cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True


def _by_onnxruntime(model: bytes, threads: int) -> Opened:
    try:
        import onnxruntime
    except ImportError:
        raise _missing("onnxruntime", "onnx") from None

    def build(number: int) -> Any:
        """Gives a session whose calls take so many threads each; those of several wait in a loop, while a call lasts alone."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = number, 3
        options.add_session_config_entry(SPINNING, str(int(number > 1)))
        options.add_session_config_entry(STOP_SPINNING, "1")
        options.add_session_config_entry(UNSIGNED, str(int(overflows())))
        # lengths differ from batch to batch: a plan of memory for each of them would only grow
        options.enable_mem_pattern = False
        session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=SLOW
        )
        _check_names({part.name for part in session.get_inputs()}, {part.name for part in session.get_outputs()})
        return session

    try:
        opened = {threads: build(threads)}
    except Exception as error:  # plain exceptions of its own
        raise unreadable(error, "onnxruntime") from None
    find, alone = _once_each(opened, build), Lock()

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64], many: bool = False) -> NDArray[np.float32]:
        # one call has all threads; of several at once, whoever makes them, each has its own: that takes a fifth less of the processor
        first = not many and alone.acquire(blocking=False)
        try:
            logits: NDArray[np.float32] = find(threads if first else 1).run([LOGITS], {IDS: ids, MASK: mask})[0]
            return logits
        finally:
            if first:
                alone.release()

    return Opened(run, threads, padding=0, batch_tokens=256)


def _by_openvino(model: bytes, threads: int) -> Opened:
    openvino = import_openvino()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # left out, it is bf16 where the processor has that: other scores by machine
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
    }
    core = openvino.Core()

    def ask(idle: SimpleQueue[Any], ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        request = idle.get()
        try:
            found = request.infer({IDS: ids, MASK: mask}, share_inputs=True, share_outputs=True)
            return np.array(found[LOGITS], dtype=np.float32)  # a copy: the next call writes over it
        finally:
            idle.put(request)

    def build(streams: int) -> SimpleQueue[Any]:
        """Gives requests of a model whose threads work in so many parts, a batch each; one thread each may use."""
        compiled = core.compile_model(core.read_model(model), "CPU", settings | {"NUM_STREAMS": streams})
        _check_names({part.any_name for part in compiled.inputs}, {part.any_name for part in compiled.outputs})
        idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            idle.put(compiled.create_infer_request())
        # OpenVINO's first call sets up what all calls use, and two threads that are in it at once wait for each other for ever
        ids = np.ones((1, 1), dtype=np.int64)
        ask(idle, ids, ids)
        return idle

    try:
        opened = {1: build(1)}
    except Exception as error:  # plain exceptions of its own
        raise unreadable(error, "openvino") from None
    find = _once_each(opened, build)

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64], many: bool = False) -> NDArray[np.float32]:
        # a text alone wants all threads; many batches want one each, and are ready a quarter of a second later
        return ask(find(threads if many else 1), ids, mask)

    # Padded further, sums end in another last digit, and values are rounded anew: a score moves by up to 0.02. And every length that
    # was not seen before has its steps planned, which takes as long again as the answer: multiples of 8 are few
    return Opened(run, threads, padding=8, batch_tokens=1024)


def _once_each(opened: dict[int, Any], build: Callable[[int], Any]) -> Callable[[int], Any]:
    """Gives what is opened under a number, and builds it when it is first asked for; those that are there wait for no other.

    Where it cannot be built, short of memory say, the one that is there serves for it: batches then take turns.
    """
    building = Lock()

    def find(number: int) -> Any:
        if number not in opened:
            with building:
                if number not in opened:
                    try:
                        opened[number] = build(number)
                    except Exception:  # plain exceptions of the libraries' own
                        opened[number] = next(iter(opened.values()))
        return opened[number]

    return find


def import_openvino() -> Any:
    """Gives OpenVINO's package, which then reports to nobody.

    Raises:
        MissingExtraError: It is not installed.
    """
    with openvino_unreported():
        try:
            import openvino
        except ImportError:
            raise _missing("openvino", "openvino") from None
    return openvino


def _check_names(inputs: set[str], outputs: set[str]) -> None:
    if (inputs, outputs) != ({IDS, MASK}, {LOGITS}):
        raise ValueError(f"it goes from {sorted(inputs)} to {sorted(outputs)}")


def _missing(package: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"This model is run by {package}, and the package '{package}' is not installed.",
        package,
        f"Install it: pip install 'smallprint[{extra}]'.",
    )


def unreadable(error: Exception, runtime: str) -> BundleError:
    """Gives the error of a model or tokenizer that a library refuses."""
    return BundleError(
        f"The model in ONNX or its tokenizer cannot be read ({str(error).strip().splitlines()[0][:160]}).",
        f"what `smallprint export` wrote, and a version of {runtime} that knows its operators",
        f"Update {runtime}, or export the model again.",
    )


__all__ = ["IDS", "LOGITS", "MASK", "Opened", "Runtime", "import_openvino", "open_model", "overflows", "unreadable"]
