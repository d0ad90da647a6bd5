import pytest

from smallprint.core.errors import ConfigError
from smallprint.core.protocols import PROTOCOLS, find_protocol
from smallprint.core.settings import load_config


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_every_setting_of_a_protocol_is_one(name):
    settings = find_protocol(name)
    assert len({setting.partition("=")[0] for setting in settings}) == len(settings)
    load_config(None, settings)


def test_lexglue_and_what_wins_over_it():
    below = load_config(None, find_protocol("lexglue"))
    config = load_config(None, ["training.epochs=2"], below)
    assert (config.training.learning_rate, config.training.head_learning_rate) == (3e-5, 3e-5)
    assert (config.training.epochs, config.training.patience) == (2, 3)
    assert (config.training.batch_size, config.model.max_length) == (8, 128)
    assert config.training.batch_tokens >= config.training.batch_size * config.model.max_length, "batches of eight"
    assert config.evaluation.threshold == "fixed"


def test_unknown():
    with pytest.raises(ConfigError, match="no protocol 'glue'"):
        find_protocol("glue")
