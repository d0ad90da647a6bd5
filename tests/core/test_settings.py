import pytest
import yaml

from smallprint.core.config import Config
from smallprint.core.errors import ConfigError
from smallprint.core.settings import build_config, load_config, render_config, setting_names


def test_overrides_beat_the_file_and_the_file_beats_defaults(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("training:\n  epochs: 3\n  seed: 5\n")
    config = load_config(file, ["training.epochs=4", "training.learning_rate=1e-4"])
    assert (config.training.epochs, config.training.seed, config.training.learning_rate) == (4, 5, 1e-4)


def test_every_problem_is_reported_at_once_with_the_nearest_key():
    with pytest.raises(ConfigError) as error:
        load_config(None, ["training.epoch=1", "model.adapter=foo"])
    assert "'training.epoch'; the nearest is 'training.epochs'" in str(error.value)
    assert "model.adapter" in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("model.maxfeatures=3", "nearest are 'model.tfidf.cost', 'model.tfidf.words'"),
        ("model.dropuot=1", "nearest are 'model.dropout', 'model.lora.dropout'"),
        ("lr=1", "'training.learning_rate'"),
        ("optimizer.weight_decay=1", "'optimizer.weight_decay'; the nearest is 'training.weight_decay'"),
        ("maxlength=3", "nearest is 'model.max_length'"),
        ("zzz=1", "there are data.*, model.*"),
        ("data.zzzzzzzz=1", "there are data.text"),
    ],
)
def test_an_unknown_setting_is_looked_for_in_every_section(wrong, told):
    with pytest.raises(ConfigError) as error:
        load_config(None, [wrong])
    assert told in str(error.value)


@pytest.mark.parametrize("content", ["a: [1", "- 1\n- 2\n", b"\xff\xfe\x00", "[" * 5_000, "a: !!int ''", "a: \0"])
def test_a_file_that_is_no_settings_file_is_named(tmp_path, content):
    file = tmp_path / "s.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError, match=r"s\.yaml"):
        load_config(file)


def test_a_date_that_there_is_not(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text("tracking: {experiment: 2024-02-30}")
    with pytest.raises(ConfigError, match=r"s\.yaml is not valid YAML \(day is out of range"):
        load_config(file)
    assert load_config(None, ["tracking.experiment=2024-13-45"]).tracking.experiment == "2024-13-45"


def test_a_missing_file_and_a_setting_without_value(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="section.key=value"):
        load_config(None, ["epochs"])


def test_what_is_rendered_reads_back(tmp_path):
    config = build_config({"data": {"text": "a: b"}, "model": {"lora": {"target_modules": ["q", "v"]}}})
    file = tmp_path / "s.yaml"
    file.write_text(render_config(config))
    assert load_config(file) == config
    file.write_text(render_config())
    assert load_config(file) == Config()


def test_every_setting_has_an_explanation():
    text = render_config()
    assert len(setting_names()) > 30
    assert text.count("#") >= len(setting_names())


def test_a_quoted_number_stays_a_word():
    assert load_config(None, ['data.text="2024"']).data.text == "2024"


def test_explanations_name_the_words_a_setting_may_be():
    text = render_config(Config())
    assert (
        "Kind of task; 'binary' on multi-label data means 'any label'. One of: auto, binary, multiclass, multilabel."
        in text
    )
    assert "whatever their length. One of" not in text


def test_members_of_a_stack_keep_their_order():
    given = load_config(None, ['stack.members={"z": ["model.backbone=tfidf"], "a": []}'])
    again = build_config(yaml.safe_load(render_config(given)))
    assert list(again.stack.members) == ["z", "a"]


def test_a_setting_of_several_kinds_is_named_as_it_is():
    with pytest.raises(ConfigError) as error:
        load_config(overrides=["training.batch_tokens=8"])
    assert "Setting 'training.batch_tokens' is 8: input should be greater than or equal to 16." in error.value.found
    assert "batch_tokens." not in error.value.found


def test_a_section_that_holds_itself_is_told(tmp_path):
    (tmp_path / "c.yaml").write_text("a: &a {b: *a}\n")
    with pytest.raises(ConfigError, match="Unknown setting 'a"):
        load_config(tmp_path / "c.yaml", [])
