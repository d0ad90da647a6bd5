"""Which action takes which finding. In: a YAML file. Out: rules. It delivers nothing.

- name: to-reviewers
  when: [person]                      # decisions: cleared, flagged, person, or undecided where the model has no policy
  labels: [Arbitration, Jurisdiction] # any when left out
  webhook: https://example.org/hooks/clauses
  secret: HOOK_SECRET                 # name of an environment variable, never the secret itself
- name: file-it
  when: [flagged]
  command: [python, file_it.py]       # gets the finding as JSON on standard input; no shell
- name: own
  call: mypackage.hooks:on_finding    # called with the finding as a dict
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from smallprint.core.config import Section
from smallprint.core.errors import ConfigError
from smallprint.core.settings import parse_yaml

Finding = Mapping[str, Any]
Outcome = Literal["cleared", "flagged", "person", "undecided"]
MOST_BYTES = 1_000_000
USUAL: tuple[Outcome, ...] = ("flagged", "person", "undecided")


class Rule(Section):
    """One action, and the findings that it takes."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    when: list[Outcome] = Field(default_factory=lambda: list(USUAL))
    labels: list[str] | None = None
    webhook: str | None = None
    secret: str | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    call: str | None = None
    retries: Annotated[int, Field(ge=0, le=100)] = 8
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0

    @field_validator("webhook")
    @classmethod
    def _reachable(cls, webhook: str | None) -> str | None:
        if webhook is None:
            return None
        parts = urlsplit(webhook)
        if parts.scheme not in ("http", "https"):
            raise ValueError("it is no http or https address")
        if not parts.hostname or parts.port == 0:  # a port that is no number raises here
            raise ValueError("it names no host, or no port of it")
        if "@" in parts.netloc:
            raise ValueError("it holds a user or a password, which would not be sent; sign it with secret instead")
        if re.search(r"[\x00-\x20\x7f]", webhook) or not (parts.path + parts.query).isascii():
            raise ValueError("it holds white space or letters beyond ASCII; write them as %20 and the like")
        return webhook

    @model_validator(mode="after")
    def _one_target(self) -> Rule:
        if sum(part is not None for part in (self.webhook, self.command, self.call)) != 1:
            raise ValueError("one of webhook, command and call is needed, and no two")
        if self.secret is not None and self.webhook is None:
            raise ValueError("secret signs a webhook, and there is none")
        return self

    def takes(self, finding: Finding) -> bool:
        """Gives whether this action is for the finding."""
        decision = finding.get("decision") or "undecided"
        return decision in self.when and (self.labels is None or finding["label"] in self.labels)


def read_rules(file: str | Path, label_names: Sequence[str]) -> list[Rule]:
    """Gives the rules of a YAML file.

    Args:
        file: A list of rules.
        label_names: The model's: a rule for another label is a mistake.

    Raises:
        ConfigError: The file cannot be read, is no such list, or names a label that the model has not.
    """
    path = Path(file)
    expected = "a YAML list of rules, each with name and one of webhook, command or call"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} has more than {MOST_BYTES:,} bytes.", expected, "Name the file with the rules.")
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__}).", expected, "Check the file.") from None
    if not isinstance(tree, list) or not tree:
        raise ConfigError(f"{path} holds no list of rules.", expected, "Begin each rule with '- name: ...'.")
    rules, problems = [], []
    for number, entry in enumerate(tree, start=1):
        try:
            rules.append(Rule.model_validate(entry))
        except ValidationError as error:
            for detail in error.errors():
                place = ".".join(str(part) for part in detail["loc"])
                problems.append(f"rule {number}{f', {place}' if place else ''}: {detail['msg']}")
    names = [rule.name for rule in rules]
    problems += [f"two rules are called '{name}'" for name in sorted({n for n in names if names.count(n) > 1})]
    for rule in rules:
        unknown = sorted(set(rule.labels or ()) - set(label_names))
        problems += [f"rule '{rule.name}': the model has no label {label!r}" for label in unknown]
    if problems:
        raise ConfigError(f"{path}: " + "; ".join(problems) + ".", expected, "Mend the rules above.")
    return rules


__all__ = ["Finding", "Rule", "read_rules"]
