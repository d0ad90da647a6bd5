"""What users get wrong, through the command line: a message that tells what to do, the exit code, nothing half-written."""

import errno
import json
from pathlib import Path

import polars as pl
import pytest

from smallprint.cli.app import main
from smallprint.families import encoder

ROWS = "text,label\n" + "".join(f'"we may end it {i}",bad\n"you may leave {i}",good\n' for i in range(30))


@pytest.fixture
def call(tiny_backbone, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = [
        f"model.backbone={tiny_backbone}",
        "training.epochs=1",
        "training.precision=fp32",
        "model.max_length=32",
    ]

    def run(*arguments, train=True):
        sets = [part for setting in settings for part in ("--set", setting)] if train else []
        try:
            code = main([*map(str, arguments), *sets])
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return int(code or 0), captured.err, captured.out

    return run


def write(name: str, content: str | bytes) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def train(call, data, *more):
    return call("train", data, "--out", "run", *more)


def nothing_left() -> bool:
    run = Path("run")
    left = [p for p in run.rglob("*") if p.suffix == ".tmp" or p.name.startswith(".")] if run.exists() else []
    return not left and not (run / "bundle").exists() and not (run / "metrics.json").exists()


def test_a_missing_column_names_those_found(call):
    code, said, _ = train(call, write("a.csv", ROWS), "--text", "txt")
    assert code == 3
    assert "'txt'" in said
    assert "text" in said
    assert "label" in said
    assert "What to do" in said
    assert nothing_left()


@pytest.mark.parametrize("content", ["", "text,label\n"])
def test_an_empty_file(call, content):
    code, said, _ = train(call, write("a.csv", content))
    assert code == 3
    assert "a.csv" in said
    assert nothing_left()


def test_an_empty_text_is_placed_and_can_be_dropped(call):
    data = write("a.csv", ROWS + '"  ",bad\n')
    code, said, _ = train(call, data)
    assert code == 3
    assert "line 62" in said
    assert "data.empty_text=drop" in said
    assert nothing_left()
    code, said, _ = call("train", data, "--out", "run2", "--set", "data.empty_text=drop")
    assert code == 0, said


def test_a_label_seen_only_in_test_is_told_before_training(call):
    write("d/train.csv", ROWS)
    write("d/test.csv", ROWS + '"new",ugly\n')
    code, said, _ = train(call, "d")
    assert code == 3
    assert "'ugly'" in said
    assert not Path("run/checkpoints").exists()


def test_one_class_only(call):
    code, said, _ = train(call, write("a.csv", "text,label\n" + "x,good\n" * 40))
    assert code == 3
    assert "good" in said


def test_broken_utf8_names_the_line(call):
    code, said, _ = train(call, write("a.csv", ROWS.encode() + b'"caf\xe9",bad\n'))
    assert code == 3
    assert "line 62" in said


def test_a_table_in_another_encoding_is_read_where_that_is_named(call):
    table = write("a.csv", (ROWS + '"caf\u00e9 \u20ac",bad\n').encode("windows-1252"))
    assert train(call, table)[0] == 3
    code, said, _ = train(call, table, "--encoding", "windows-1252")
    assert code == 0, said


def test_extra_rows_that_validation_holds_are_refused(call):
    write("d/train.csv", ROWS)
    write("d/validation.csv", 'text,label\n"Seen  before",bad\n"never",good\n')
    write("extra.csv", 'text,label\n"new",bad\n"seen before",good\n')
    code, said, _ = train(call, "d", "--extra", "extra.csv")
    assert code == 3
    assert "extra.csv, line 3" in said
    assert "What to do" in said
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [("text,label\nnew,ugly\n", "'ugly'"), ("text,kind\nnew,bad\n", "'label'"), ("text,label\nn,b,c\n", "line 2")],
)
def test_a_wrong_extra_table_is_told(call, content, told):
    code, said, _ = train(call, write("a.csv", ROWS), "--extra", write("extra.csv", content))
    assert code == 3
    assert told in said
    assert not Path("run").exists()


def test_an_extra_table_that_is_not_there(call):
    data = write("a.csv", ROWS)
    assert train(call, data, "--extra", "none.csv")[0] == 3
    assert train(call, data, "--extra", "")[0] == 2
    assert not Path("run").exists()


def test_a_truncated_parquet_file(call):
    pl.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).write_parquet("a.parquet")
    whole = Path("a.parquet").read_bytes()
    code, said, _ = train(call, write("b.parquet", whole[: len(whole) // 2]))
    assert code == 3
    assert "b.parquet" in said


def test_a_csv_with_ragged_rows_names_the_line(call):
    code, said, _ = train(call, write("a.csv", ROWS + "one,two,three\n"))
    assert code == 3
    assert "line 62" in said


def test_an_unknown_setting_names_the_nearest(call):
    code, said, _ = train(call, write("a.csv", ROWS), "--set", "training.epoch=3")
    assert code == 2
    assert "'training.epochs'" in said
    assert not Path("run").exists()


def test_an_unreachable_backbone_says_how_to_work_offline(call, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write("a.csv", ROWS)
    code, said, _ = call("train", "a.csv", "--out", "run3", "--backbone", "nobody/nothing", train=False)
    assert code == 5
    assert "minilm" in said
    assert "offline" in said.lower() or "without a network" in said.lower()
    assert not Path("run3/bundle").exists()


@pytest.fixture
def trained(call):
    code, said, _ = train(call, write("a.csv", ROWS))
    assert code == 0, said
    return Path("run")


def test_a_tampered_bundle_is_refused(call, trained):
    weights = trained / "bundle" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    code, said, _ = call("predict", trained, write("new.csv", "text\nhello\n"), "-o", "out.csv", train=False)
    assert code == 6
    assert "model.safetensors" in said
    assert not Path("out.csv").exists()


def test_a_bundle_of_a_newer_version_and_no_bundle_at_all(call, trained):
    manifest = trained / "bundle" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format_version": 99}))
    code, said, _ = call("evaluate", trained, "a.csv", train=False)
    assert code == 6
    assert "99" in said
    code, said, _ = call("evaluate", "nowhere", "a.csv", train=False)
    assert code == 6
    assert "nowhere" in said


def test_a_full_disk_leaves_nothing_half_written(call, monkeypatch):
    original = Path.write_bytes

    def full(self, data):
        if "safetensors" in self.name:
            original(self, data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    code, said, _ = train(call, write("a.csv", ROWS))
    assert code == 1
    assert "space" in said.lower()
    assert "--resume" in said
    assert nothing_left()
    assert list(Path("run/checkpoints").iterdir()) == []
    monkeypatch.setattr(Path, "write_bytes", original)
    code, said, _ = call("train", "--resume", "run", train=False)
    assert code == 0, said
    assert Path("run/bundle/manifest.json").exists()


def test_ctrl_c_says_how_to_go_on(call, monkeypatch):
    data = write("a.csv", ROWS)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "fit_classifier", stop)
        code, said, _ = train(call, data)
    assert code == 130
    assert "--resume" in said
    assert nothing_left()
    code, said, _ = call("train", "--resume", "run", train=False)
    assert code == 0, said


def test_ctrl_c_in_the_middle_of_an_epoch(call, monkeypatch):
    from smallprint.training import callbacks

    data = write("a.csv", ROWS)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Progress, "on_train_batch_end", stop)
        code, said, _ = train(call, data)
    assert code == 130
    assert "--resume" in said
    assert nothing_left()


def test_resuming_what_is_no_run(call):
    code, said, _ = call("train", "--resume", "nothing", train=False)
    assert code == 5
    assert "holds no run" in said


def test_an_out_folder_that_is_not_empty(call, trained):
    code, said, _ = train(call, "a.csv")
    assert code == 2
    assert "--resume" in said


def test_predict_keeps_nothing_when_its_input_breaks(call, trained):
    data = write("new.csv", b"text\nfine\n\xff\xfe\n")
    code, said, _ = call("predict", trained, data, "-o", "out.csv", train=False)
    assert code == 3
    assert "line 3" in said
    assert not Path("out.csv").exists()
    assert not [p for p in Path().iterdir() if "tmp" in p.name]


def test_predict_wants_a_text_column(call, trained):
    code, said, _ = call("predict", trained, write("new.csv", "a,b\n1,2\n"), "--text", "text", train=False)
    assert code == 3
    assert "'a'" in said
