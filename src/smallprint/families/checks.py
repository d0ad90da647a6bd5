"""What does not go together or is not there, told before anything is loaded."""

from __future__ import annotations

from smallprint.core.config import STATIC, SVM, TFIDF, Config, ModelConfig, StackConfig
from smallprint.core.errors import ConfigError
from smallprint.core.parts import Parts
from smallprint.core.settings import config_of_member
from smallprint.families.fitted import changed
from smallprint.modeling.backbone import check_backbone

OWN = ("tokenizer", "backbone", "head", "loss")


def check_family(config: Config, parts: Parts) -> None:
    """Refuses settings and parts that the family has no use for.

    Raises:
        ConfigError: TF-IDF, a static model or a stack together with anything of an encoder's, each named; or settings of an encoder that
            contradict each other.
    """
    if config.model.family != "stack" and (unused := changed(config.stack, StackConfig())):
        raise ConfigError(
            f"{', '.join(f'stack.{name}' for name in unused)} cannot go with model.backbone={config.model.backbone}.",
            "model.backbone=stack, whose members and folds these are",
            "Set model.backbone=stack, or leave them out.",
        )
    if config.stack.weights is not None:
        raise ConfigError(
            "stack.weights is set: these are the settings of a blend, which is not trained.",
            "a stack without weights, which fits its own, or `smallprint blend RUN RUN`, which averages finished runs",
            "Leave stack.weights out, or blend the runs again.",
        )
    if config.model.family == "encoder":
        return _check_encoder(config, parts)
    usual = ModelConfig(backbone=config.model.backbone)
    if config.model.family == "linear":
        usual = usual.model_copy(update={"tfidf": config.model.tfidf})
    if config.model.family == "static":
        usual = usual.model_copy(update={"static": config.model.static})
        if config.model.static.encoder != "none":  # it may come from the Hub, too
            usual = usual.model_copy(update={"revision": config.model.revision})
    odd = [f"model.{name}" for name in changed(config.model, usual)]
    odd += [f"Parts({name}=...)" for name in OWN if getattr(parts, name) is not None]
    if odd and config.model.family in ("linear", "static"):
        raise ConfigError(
            f"{', '.join(odd)} cannot go with model.backbone={config.model.backbone}.",
            "no other setting or part of a model: a linear SVM has no encoder to train, no head or loss to choose",
            "Leave them out, or choose an encoder such as minilm.",
        )
    if odd:
        raise ConfigError(
            f"{', '.join(odd)} cannot go with model.backbone=stack.",
            "settings of its members, each under the member's name in stack.members",
            "Move them there.",
        )
    if config.model.family == "stack":
        if config.training.teacher is not None:
            raise ConfigError(
                "training.teacher cannot go with model.backbone=stack.",
                "a single model that learns from a stack: a stack's own scores are of examples that no part of it saw",
                "Leave it out.",
            )
        for name in config.stack.members:
            member = member_config(config, name)
            if member.model.family == "stack":
                raise ConfigError(
                    f"The member '{name}' of the stack is a stack.",
                    "an encoder, tfidf or static",
                    "Name its members themselves.",
                )
            check_family(member, Parts())


def check_backbones(config: Config, parts: Parts) -> None:
    """Checks that every encoder that the settings name is there: before data is read, which may take longer than a typing error is worth.

    Raises:
        TrainingError: One is not, or needs code of its own.
        MissingExtraError: A package that reads it is not installed.
    """
    model = config.model
    if model.family == "stack":
        for name in config.stack.members:
            check_backbones(member_config(config, name), Parts())
    elif model.family == "static" and model.static.encoder != "none":
        check_backbone(model.static.encoder, model.revision)
    elif model.family == "encoder" and parts.backbone is None:
        check_backbone(model.backbone, model.revision)


def member_config(config: Config, name: str) -> Config:
    """Gives the settings of a stack's member; see `config_of_member`.

    Raises:
        ConfigError: A setting of its own is unknown or wrong, or makes it learn from other examples.
    """
    member = config_of_member(config, name)
    own = [part for part in ("data", "evaluation", "tracking") if getattr(member, part) != getattr(config, part)]
    own += [
        f"training.{key}"
        for key in ("seed", "teacher")
        if getattr(member.training, key) != getattr(config.training, key)
    ]
    if own:
        raise ConfigError(
            f"The member '{name}' of the stack has settings of its own for {', '.join(own)}.",
            "those of the run: members learn from the same examples, and are judged together",
            "Set them for the run, or leave them out.",
        )
    return member


def unheard(config: Config) -> list[str]:
    """Gives a line for each setting of a stack's run that a member has a setting of its own for."""
    usual = type(config.training)()
    lines = []
    for name in config.stack.members:
        member = member_config(config, name)
        for key in changed(config.training, usual):
            if (own := getattr(member.training, key)) != (wanted := getattr(config.training, key)):
                lines.append(f"training.{key}={wanted} does not reach the member '{name}', which has its own: {own}.")
    return lines


def _check_encoder(config: Config, parts: Parts) -> None:
    model, own_head = config.model, parts.head is not None
    for name in changed(model, ModelConfig(), (TFIDF, STATIC)):
        raise ConfigError(
            f"model.{name} cannot go with model.backbone={model.backbone}.", f"model.backbone={name}", "Leave it out."
        )
    if changed(model, ModelConfig(), ("svm",)) and (model.head != SVM or own_head):
        raise ConfigError(f"model.svm cannot go with model.head={model.head}.", "model.head=svm", "Leave it out.")
    if config.training.teacher is not None and model.head == SVM and not own_head:
        raise ConfigError(
            "training.teacher cannot go with model.head=svm, which learns from labels alone.",
            "a head that is trained by gradient",
            "Leave one of them out.",
        )
    if model.head == SVM and not own_head and model.adapter != "frozen":
        raise ConfigError(
            f"model.head=svm cannot go with model.adapter={model.adapter}: no gradient passes it.",
            "a frozen encoder below it",
            "Set model.adapter=frozen, or choose another head.",
        )
    unused = changed(model, ModelConfig(), ("loss", "class_weights", "dropout"))
    if model.head == SVM and not own_head and unused:
        raise ConfigError(
            f"{', '.join(f'model.{name}' for name in unused)} cannot go with model.head=svm, which is fitted without them.",
            "a head that is trained by gradient",
            "Leave them out, or choose another head.",
        )
    if model.weights == "int8" and model.adapter in ("lora", "qlora") and not model.lora.merge:
        raise ConfigError(
            "model.weights=int8 cannot go with model.lora.merge=false: the bundle then holds no large matrix to round.",
            "merged weights as int8, or adapters alone",
            "Leave one of them out.",
        )
    if model.train_layers is not None and (model.adapter == "frozen" or model.layers is not None):
        other = "model.layers" if model.layers is not None else f"model.adapter={model.adapter}"
        raise ConfigError(
            f"model.train_layers cannot go with {other}.",
            "model.adapter=full or lora, and the last layer's vectors",
            "Leave one of them out.",
        )
