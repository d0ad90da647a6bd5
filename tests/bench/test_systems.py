"""Which rows are trained, in which order, and what is refused."""

import pytest

from smallprint.bench.systems import DEFAULT_ROWS, choose_systems
from smallprint.core.errors import ConfigError


def test_members_of_a_stack_come_before_it_and_once():
    assert [system.name for system in choose_systems(["stack", "linear"])] == ["full", "frozen", "linear", "stack"]
    names = [system.name for system in choose_systems(list(DEFAULT_ROWS))]
    assert len(names) == len(set(names))


def test_an_unknown_row_names_those_there_are():
    with pytest.raises(ConfigError, match=r"no row 'bert'(.|\n)*linear, frozen"):
        choose_systems(["bert"])


def test_the_base_size_row_needs_its_weights():
    with pytest.raises(ConfigError, match="--mpnet"):
        choose_systems(["mpnet"])
    assert choose_systems(["mpnet"], "/somewhere")[0].settings == ("model.backbone=/somewhere",)
