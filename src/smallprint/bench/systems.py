"""Which systems stand in the table. In: names. Out: settings of their trainings, or the systems they are made of."""

from __future__ import annotations

from dataclasses import dataclass

from smallprint.core.errors import ConfigError


@dataclass(frozen=True)
class System:
    """One row of ours.

    Attributes:
        name: As `--rows` calls it.
        title: As the table calls it.
        settings: `section.key=value` of its training, besides the defaults; empty for a stack.
        members: Systems whose scores a stack combines.
    """

    name: str
    title: str
    settings: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


FROZEN = (  # chosen on validation; the head alone is trained, so epochs cost a second
    "model.adapter=frozen",
    "model.head=mlp",
    "training.head_learning_rate=3e-3",
    "training.epochs=30",
    "training.patience=8",
)
SYSTEMS = {
    system.name: system
    for system in (
        System("linear", "TF-IDF + linear SVM", ("model.backbone=tfidf",)),
        System("frozen", "MiniLM, frozen, head of two layers", FROZEN),
        System("lora", "MiniLM, LoRA", ("model.adapter=lora",)),
        System("full", "MiniLM, full"),
        System("mpnet", "mpnet-base, full"),
        System("light", "stack of frozen MiniLM and linear", members=("frozen", "linear")),
        System("stack", "stack of MiniLM full, frozen and linear", members=("full", "frozen", "linear")),
    )
}
DEFAULT_ROWS = ("linear", "frozen", "light", "lora", "full", "stack")
QUICK_ROWS = ("linear", "frozen", "light")


def choose_systems(names: list[str], mpnet: str | None = None) -> list[System]:
    """Gives the systems by name, members of a stack before it and each once.

    Args:
        names: Of `SYSTEMS`.
        mpnet: Folder or Hub name of the base-size encoder, needed for the row 'mpnet'.

    Raises:
        ConfigError: An unknown name, or the base-size encoder is not named.
    """
    chosen: dict[str, System] = {}
    for name in names:
        if name not in SYSTEMS:
            raise ConfigError(f"There is no row '{name}'.", ", ".join(SYSTEMS), "Name some of these with --rows.")
        for member in (*SYSTEMS[name].members, name):
            chosen[member] = SYSTEMS[member]
    if "mpnet" in chosen:
        if not mpnet:
            raise ConfigError(
                "The row 'mpnet' has no weights.",
                "a folder or the Hub name sentence-transformers/all-mpnet-base-v2",
                "Give it with --mpnet.",
            )
        row = chosen["mpnet"]
        chosen["mpnet"] = System(row.name, row.title, (f"model.backbone={mpnet}",))
    return list(chosen.values())
