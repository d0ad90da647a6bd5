"""Reading settings: YAML and `section.key=value` in, a `Config` out, or every problem of them in one error.

It knows nothing of what the settings are for.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.search_space import space_problems

ALIKE = 0.8  # of the last parts of two names
DEEPEST = 4  # dots of an unknown setting that are told
BRANCH = re.compile(
    r"constrained-\w+|literal\[.*\]"
)  # pydantic's words for one of several kinds of value, no setting's
OTHER_WORDS = {  # of other libraries
    **{
        "lr": "learning_rate",
        "bs": "batch_size",
        "wd": "weight_decay",
        "maxlen": "max_length",
        "maxseqlength": "max_length",
    },
    **{
        "numtrainepochs": "epochs",
        "numepochs": "epochs",
        "c": "cost",
        "gamma": "spread",
        "classweight": "class_weights",
    },
    **dict.fromkeys(("maxfeatures", "ngrams", "ngramrange", "mindf", "maxdf", "analyzer", "sublineartf"), "tfidf"),
}


def load_config(file: str | Path | None = None, overrides: Iterable[str] = (), base: Config | None = None) -> Config:
    """Gives the settings: `base` (or the defaults) < one YAML file < overrides.

    Args:
        file: YAML file with sections as in `smallprint config`, or None.
        overrides: `section.key=value` strings; the value is read as YAML.
        base: Settings to start from instead of the defaults.

    Raises:
        ConfigError: The file cannot be read, or any setting is unknown or wrong; all problems are listed.
    """
    tree: dict[str, Any] = base.model_dump(exclude_defaults=True) if base else {}
    if file is not None:
        _merge(tree, _read_yaml(Path(file)))
    for override in overrides:
        _merge(tree, _parse_override(override))
    return build_config(tree)


def config_of_member(config: Config, name: str) -> Config:
    """Gives the settings of a stack's member: its own, and for the rest those of the run without its model.

    Raises:
        ConfigError: A setting of its own is unknown or wrong.
    """
    fresh = Config()
    base = config.model_copy(update={"model": fresh.model, "stack": fresh.stack})
    try:
        return load_config(None, config.stack.members[name], base)
    except ConfigError as error:
        raise ConfigError(f"The member '{name}' of the stack: {error.found}", error.expected, error.do) from None


def build_config(tree: Mapping[str, Any]) -> Config:
    """Gives a `Config` from a plain dict.

    Raises:
        ConfigError: Any setting is unknown or wrong; all problems are listed, each with the nearest valid key.
    """
    config, problems = None, []
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        problems = [_describe(detail) for detail in error.errors()]
    sweep = tree.get("sweep")
    if isinstance(sweep, Mapping):
        problems += space_problems(sweep.get("space"), setting_names(), value_problems)
    if config is None or problems:
        raise ConfigError(
            "\n".join(problems), do="Mend the settings above; `smallprint config` lists every one with its explanation."
        )
    return config


def value_problems(key: str, value: Any) -> list[str]:
    """Gives what is wrong with one value of a setting, a sentence each."""
    try:
        Config.model_validate(tree_of({key: value}))
    except ValidationError as error:
        return [_describe(detail) for detail in error.errors()]
    return []


def tree_of(settings: Mapping[str, Any], base: Config | None = None) -> dict[str, Any]:
    """Gives settings named `section.key` as a tree for `build_config`, over those of `base` that are no defaults."""
    tree: dict[str, Any] = base.model_dump(exclude_defaults=True) if base else {}
    for key, value in settings.items():
        *path, last = key.split(".")
        part = tree
        for name in path:
            part = part.setdefault(name, {})
        part[last] = value
    return tree


def value_of(config: Config, key: str) -> Any:
    """Gives the value of a setting named `section.key`."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def render_config(config: Config | None = None, *, explain: bool = True) -> str:
    """Gives the settings as YAML, each with its explanation as a comment."""
    lines: list[str] = []
    _render(config or Config(), lines, indent=0, explain=explain)
    return "\n".join(lines) + "\n"


def setting_names() -> list[str]:
    """Every setting as `section.key`, in order."""
    return list(_leaves(Config, ""))


def parse_yaml(text: str) -> Any:
    """Gives what YAML text stands for.

    Raises:
        yaml.YAMLError: It is none, or it holds what there is not, such as the 30th of February.
    """
    try:
        return yaml.safe_load(text)
    except (ValueError, LookupError, AttributeError, RecursionError) as error:  # of what makes dates and numbers
        raise yaml.YAMLError(str(error)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read ({error.strerror}).", "a YAML file", "Check the path."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The settings file {path} is not UTF-8 text.", "a YAML file", "Save it as UTF-8.") from None
    try:
        tree = parse_yaml(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, is not valid YAML" if mark else f" is not valid YAML ({error})"
        raise ConfigError(
            f"The settings file {path}{place}.",
            "sections with indented keys",
            "`smallprint config > settings.yaml` writes a file to start from.",
        ) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(
            f"The settings file {path} holds a {type(tree).__name__}.",
            "sections with indented keys",
            "`smallprint config > settings.yaml` writes a file to start from.",
        )
    return tree


def _parse_override(override: str) -> dict[str, Any]:
    key, sign, value = override.partition("=")
    if not sign or not key.strip():
        raise ConfigError(
            f"'{override}' is not a setting.", "section.key=value", "For example --set training.epochs=3."
        )
    try:
        parsed: Any = parse_yaml(value) if value else ""
    except yaml.YAMLError:
        parsed = value
    if isinstance(parsed, str) and value.lstrip()[:1] not in ("'", '"'):
        with contextlib.suppress(ValueError):  # YAML 1.1 reads 1e-4 as a string
            parsed = float(parsed) if not parsed.strip().isalpha() else parsed
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    result: dict[str, Any] = parsed
    return result


def _merge(tree: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = dict(value) if isinstance(value, Mapping) else value


def _describe(detail: ErrorDetails) -> str:
    parts = [str(part) for part in detail["loc"]]
    key = ".".join(parts[:-1] if BRANCH.fullmatch(parts[-1]) else parts)
    if detail["type"] == "extra_forbidden":
        whole = key
        # of a whole section that is unknown, its first setting; one that holds itself has no end
        while isinstance(value := detail["input"], Mapping) and value and whole.count(".") < DEEPEST:
            name, inner = next(iter(value.items()))
            whole, detail = f"{whole}.{name}", {**detail, "input": inner}
        return f"Unknown setting '{whole}'; {_nearest(whole)}."
    told = detail["msg"].removeprefix("Value error, ")
    return f"Setting '{key}' is {detail['input']!r}: {told[:1].lower()}{told[1:]}."


def _nearest(key: str) -> str:
    """Names the settings most like an unknown one: by its last part in any section, else by its whole name, else its section's."""
    names = setting_names()
    section, _, last = key.rpartition(".")
    last = OTHER_WORDS.get(_plain(last), last)
    alike = [
        (difflib.SequenceMatcher(None, _plain(last), _plain(name.rpartition(".")[2])).ratio(), name) for name in names
    ]
    near = [name for ratio, name in sorted(alike, key=lambda each: -each[0]) if ratio >= ALIKE or f".{last}." in name][
        :3
    ]
    near = near or difflib.get_close_matches(key, names if section else [*names, *Config.model_fields], n=1)
    if near:
        return f"the nearest is '{near[0]}'" if len(near) == 1 else f"the nearest are {', '.join(map(repr, near))}"
    own = [name for name in names if name.startswith(f"{section}.")] if section else []
    return f"there are {', '.join(own or [f'{name}.*' for name in Config.model_fields])}"


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _allowed(annotation: Any) -> str:
    """Gives the words a setting may be, where they are a fixed few."""
    words = [
        str(word)
        for part in (annotation, *get_args(annotation))
        if get_origin(part) is Literal
        for word in get_args(part)
    ]
    return f" One of: {', '.join(words)}." if len(words) > 1 else ""


def _leaves(model: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section:
            yield from _leaves(section, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _render(section: BaseModel, lines: list[str], indent: int, explain: bool) -> None:
    pad = "  " * indent
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if explain:
            lines.append(f"{pad}# {field.description}{_allowed(field.annotation)}")
        if isinstance(value, BaseModel):
            lines.append(f"{pad}{name}:")
            _render(value, lines, indent + 1, explain)
        else:
            if isinstance(value, dict):
                value = {
                    k: v.model_dump(exclude_defaults=True) if isinstance(v, BaseModel) else v for k, v in value.items()
                }
            dumped = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
            lines.append(f"{pad}{name}: {dumped.removesuffix(chr(10)).removesuffix('...').strip()}")
