import sys
from types import SimpleNamespace

import pytest

from smallprint.core.errors import DataError, MissingExtraError
from smallprint.data.hub import open_hub, read_label_names


def fake(load):
    return SimpleNamespace(load_dataset=load)


@pytest.mark.parametrize(("name", "asked"), [("o/n", ("o/n", None)), ("o/n/c", ("o/n", "c"))])
def test_the_name_is_handed_to_datasets(monkeypatch, name, asked):
    monkeypatch.setitem(sys.modules, "datasets", fake(lambda *given: given))
    assert open_hub(name) == asked


@pytest.mark.parametrize("name", ["", "n", "a/b/c/d", "a//b"])
def test_a_name_that_is_none_is_an_error(name):
    with pytest.raises(DataError, match="does not name a data set"):
        open_hub(name)


def test_without_datasets_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'smallprint\[hub\]'"):
        open_hub("o/n")


def test_an_unreachable_hub_tells_how_to_work_offline(monkeypatch):
    def load(*_):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "datasets", fake(load))
    with pytest.raises(DataError, match=r"no route(.|\n)*HF_HUB_OFFLINE(.|\n)*train\.parquet"):
        open_hub("o/n")


def test_label_names_are_read_for_each_column():
    label = SimpleNamespace(names=["neg", "pos"])
    features = {"a": label, "b": SimpleNamespace(feature=label), "c": [label], "text": SimpleNamespace(dtype="string")}
    assert read_label_names(SimpleNamespace(features=features)) == {key: ["neg", "pos"] for key in "abc"}
    assert read_label_names({"no": "features"}) == {}
