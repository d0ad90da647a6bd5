import sys
from types import SimpleNamespace

import polars as pl
import pytest

from smallprint.core.errors import DataError
from smallprint.data import read
from smallprint.data.read import open_source

FRAME = pl.DataFrame({"text": ["one", "two"], "label": ["a", "b"]})


class FakeDataset:
    """Looks like a Hugging Face Dataset."""

    def __init__(self, frame, features):
        self.frame, self.features = frame, features

    def __len__(self):
        return self.frame.height

    def to_polars(self):
        return self.frame


IDS = FakeDataset(pl.DataFrame({"text": ["x", "y"], "label": [1, 0]}), {"label": SimpleNamespace(names=["neg", "pos"])})


def folder(tmp_path, *names):
    for name in names:
        FRAME.write_csv(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("wrap", [str, lambda path: path], ids=["str", "path"])
def test_a_file_is_one_undivided_table(tmp_path, wrap):
    source = open_source(wrap(folder(tmp_path, "t.csv") / "t.csv"))
    assert source.splits == ()
    assert source.read(None).equals(FRAME)
    assert source.read(None, ["label"]).columns == ["label"]
    assert source.place(None, 1) == source.place("train", 1) == "t.csv, line 3"


def test_a_folder_has_its_splits_by_alias_and_other_files_are_ignored(tmp_path):
    source = open_source(folder(tmp_path, "train.csv", "dev.csv", "Test.csv", "notes.csv"))
    assert source.splits == ("train", "validation", "test")
    assert source.place("validation", 0) == "dev.csv, line 2"
    assert source.read("test").equals(FRAME)


def test_no_split_is_opened_before_it_is_read(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(read, "read_table", lambda path, columns, **more: opened.append(path.name) or FRAME)
    source = open_source(folder(tmp_path, "train.csv", "test.csv"))
    assert opened == []
    source.read("train")
    assert opened == ["train.csv"]
    source.read("test")
    assert opened == ["train.csv", "test.csv"]


def test_labels_txt_gives_names_in_id_order(tmp_path):
    folder(tmp_path, "train.csv")
    (tmp_path / "labels.txt").write_text("zebra\n apple \n\n")
    assert open_source(tmp_path).label_names == ["zebra", "apple"]
    assert open_source(tmp_path).names_of(["label"]) == ["zebra", "apple"]


@pytest.mark.parametrize(
    ("content", "what"),
    [("a\n\nb\n", "line 2: the line is blank"), ("a\nb\na\n", "line 3: 'a' stands"), ("\n", "no rows")],
)
def test_a_labels_file_that_shifts_ids_is_an_error(tmp_path, content, what):
    folder(tmp_path, "train.csv")
    (tmp_path / "labels.txt").write_text(content)
    with pytest.raises(DataError, match=what):
        open_source(tmp_path)


def test_a_folder_without_train_says_what_it_has(tmp_path):
    with pytest.raises(DataError, match=r"no train file; it has 'test\.csv'"):
        open_source(folder(tmp_path, "test.csv"))


def test_an_empty_folder_says_so(tmp_path):
    with pytest.raises(DataError, match="no train file; it has nothing"):
        open_source(tmp_path)


def test_two_files_for_one_split_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"two files for validation: dev\.csv and val\.csv"):
        open_source(folder(tmp_path, "train.csv", "dev.csv", "val.csv"))


def test_an_empty_split_file_is_found_at_once(tmp_path):
    (folder(tmp_path, "train.csv") / "test.csv").write_text("")
    with pytest.raises(DataError, match=r"test\.csv is empty"):
        open_source(tmp_path)


def test_a_missing_path_names_near_ones(tmp_path):
    with pytest.raises(DataError, match=r"Did you mean table\.csv"):
        open_source(folder(tmp_path, "table.csv") / "tabel.csv")


def test_an_empty_path_is_an_error():
    with pytest.raises(DataError, match="path of the data is empty"):
        open_source("")


@pytest.mark.parametrize("data", [FRAME, FRAME.lazy(), FakeDataset(FRAME, {})], ids=["frame", "lazy", "dataset"])
def test_frames_are_undivided_tables(data):
    source = open_source(data)
    assert source.splits == ()
    assert source.read(None).equals(FRAME)
    assert source.place(None, 0) == "data, row 1"


def test_a_pandas_frame_is_taken_at_the_door():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"text": ["one", None], "labels": [["a"], []]})
    assert open_source(frame).read(None).to_dicts() == [{"text": "one", "labels": ["a"]}, {"text": None, "labels": []}]


def test_a_pandas_frame_that_cannot_be_converted_is_an_error():
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match="cannot be converted"):
        open_source(pd.DataFrame({"text": ["one", {1, 2}]})).read(None)


def test_our_code_never_imports_pandas(tmp_path):
    import subprocess

    FRAME.write_csv(tmp_path / "t.csv")
    code = "import sys; from smallprint.data.read import open_source; open_source(sys.argv[1]).read(None)"
    code += "; import smallprint.data.stream; assert not {'pandas', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "t.csv")], check=True)


def test_a_dict_of_frames_has_splits():
    source = open_source({"train": FRAME, "val": FRAME.lazy(), "unsupervised": FRAME})
    assert source.splits == ("train", "validation")
    assert source.read("validation", ["text"]).columns == ["text"]
    assert source.place("validation", 1) == "validation, row 2"


def test_a_dict_without_train_or_with_two_of_a_split_is_an_error():
    with pytest.raises(DataError, match="no split 'train'; it has 'test'"):
        open_source({"test": FRAME})
    with pytest.raises(DataError, match="two tables for validation"):
        open_source({"train": FRAME, "val": FRAME, "dev": FRAME})


def test_a_dataset_gives_its_label_names():
    for source in (open_source(IDS), open_source({"train": IDS, "test": IDS})):
        assert source.label_names == source.names_of(["label"]) == ["neg", "pos"]


def test_the_hub_is_read_through_datasets(monkeypatch):
    monkeypatch.setattr(read, "open_hub", lambda name: {"train": IDS} if name == "o/n" else IDS)
    assert open_source("hub:o/n").read("train").height == 2
    assert open_source("hub:o/one").splits == ("train",)


def test_an_empty_frame_and_a_missing_column_are_errors():
    with pytest.raises(DataError, match="has no rows"):
        open_source(FRAME.clear()).read(None)
    with pytest.raises(DataError, match="no column 'x'"):
        open_source(FRAME).read(None, ["x"])


def test_an_unknown_split_is_an_error():
    with pytest.raises(DataError, match="no split 'test'"):
        open_source({"train": FRAME}).read("test")


@pytest.mark.parametrize("data", [3, ["a"], object()])
def test_other_objects_are_an_error(data):
    with pytest.raises(DataError, match="an object of type"):
        open_source(data)


def test_the_sample_is_embedded(monkeypatch, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "sample.jsonl").write_text('{"text": "a", "labels": []}\n')
    monkeypatch.setattr(read, "files", lambda package: tmp_path)
    source = open_source("sample")
    assert source.name == "sample"
    assert source.splits == ()
    assert source.read(None).to_dicts() == [{"text": "a", "labels": []}]
    assert source.place(None, 0) == "sample.jsonl, line 1"
