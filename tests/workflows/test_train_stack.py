"""The whole way of a stack: folds, held-out scores that are honest, bundle, resume, and a small model that learns from it."""

import json

import numpy as np
import polars as pl
import pytest

import smallprint
from smallprint import api
from smallprint.core.errors import ConfigError, TrainingError
from smallprint.core.settings import load_config
from smallprint.packaging.reference import load_reference


@pytest.fixture
def settings(tiny_backbone, tmp_path):
    members = {
        "linear": ["model.backbone=tfidf"],
        "kernel": [f"model.backbone={tiny_backbone}", "model.adapter=frozen", "model.layers=[1,2]", "model.head=svm"],
        "encoder": [f"model.backbone={tiny_backbone}", "model.train_layers=1", "training.epochs=2"],
    }

    def make(*more, only=tuple(members)):
        listed = json.dumps({name: members[name] for name in only})
        own = ["model.backbone=stack", f"stack.members={listed}", "training.precision=fp32"]
        return load_config(None, [*own, f"tracking.root={json.dumps(str(tmp_path / 'root'))}", *more])

    return make


@pytest.fixture
def table(labelled_frame, tmp_path):
    path = tmp_path / "table.parquet"
    labelled_frame("multilabel", 120).write_parquet(path)
    return path


def test_from_table_to_answer(settings, table, tmp_path):
    lines = []
    result = smallprint.train(table, config=settings(), out=tmp_path / "run", say=lines.append)
    assert result.test.values["f1_macro"] > 0.7
    assert any(line.startswith("Weights: linear") for line in lines)
    engine = smallprint.load(result.run)
    again, _ = api.evaluate(result.bundle, table)
    assert again.values == result.test.values
    assert engine.max_length == 128
    held = pl.read_parquet(result.run / "held_out_scores.parquet")
    validation = pl.read_parquet(result.run / "validation_scores.parquet")
    assert len(held) == 120 - result.test.n_examples
    assert held["text"].to_list()[-len(validation) :] == validation["text"].to_list()
    assert held["scores"].to_list()[-len(validation) :] == validation["scores"].to_list()
    names = {path.name for path in (result.bundle / "members").iterdir()}
    assert names == {"linear-1", "kernel-1", "encoder-1", "encoder-2", "encoder-3"}
    members = json.loads((result.run / "members.json").read_text())
    assert [part["name"] for part in members] == ["linear", "kernel", "encoder"]
    assert {part["examples"] for part in members} == {len(held)}
    page = result.report.read_text()
    assert "Members of the stack" in page
    for part in members:
        assert f"<td>{part['without']:.3f}</td><td>{part['whole'] - part['without']:+.3f}</td>" in page


def test_no_example_is_scored_by_a_model_that_saw_it(settings, tmp_path):
    """Every text has a word of its own and labels drawn by lot: whoever saw it knows, whoever did not can but guess."""
    rng = np.random.default_rng(0)
    rows = [{"text": f"unique{i} word{i}", "labels": ["red"] if rng.random() < 0.5 else []} for i in range(200)]
    frame = pl.DataFrame(rows, schema_overrides={"labels": pl.List(pl.String)})
    frames = {"train": frame[:120], "validation": frame[120:160], "test": frame[160:]}
    result = smallprint.train(frames, config=settings(only=["linear"]), out=tmp_path / "run")
    held = pl.read_parquet(result.run / "held_out_scores.parquet")
    truth, scores = np.array(held["targets"].to_list()), np.array(held["scores"].to_list())
    assert ((scores > 0.5) == truth).mean() < 0.7
    seen = smallprint.load(result.run).score(held["text"].to_list())
    assert np.corrcoef(seen[:, 0], truth[:, 0])[0, 1] > 0.9
    reference = load_reference(result.bundle, scores.shape[1])  # monitoring too compares with unseen scores
    np.testing.assert_array_equal(reference.scores, scores[120:].astype(np.float16))


def test_test_is_opened_once_and_last(settings, labelled_frame, tmp_path, monkeypatch):
    from smallprint.core.parts import Parts
    from smallprint.data.read import open_source

    folder = tmp_path / "splits"
    folder.mkdir()
    frame = labelled_frame("multilabel", 120)
    for split, part in (("train", frame[:70]), ("validation", frame[70:95]), ("test", frame[95:])):
        part.write_parquet(folder / f"{split}.parquet")
    events = []

    def reader(data):
        source = open_source(data)
        real = source.read

        def read(split, columns=None):
            events.append((split, columns))
            return real(split, columns)

        object.__setattr__(source, "read", read)
        return source

    config = settings(only=["linear", "kernel"])
    smallprint.train(str(folder), config=config, out=tmp_path / "run", parts=Parts(reader=reader), say=events.append)
    texts = [
        i
        for i, event in enumerate(events)
        if isinstance(event, tuple) and event[0] == "test" and event[1] != ["labels"]
    ]
    weights = next(i for i, event in enumerate(events) if isinstance(event, str) and event.startswith("Weights"))
    assert len(texts) == 1
    assert texts[0] > weights


def test_settings_that_a_member_does_not_hear_are_said(settings, table, tmp_path):
    lines = []
    smallprint.train(table, config=settings("training.epochs=1"), out=tmp_path / "run", say=lines.append)
    assert "training.epochs=1 does not reach the member 'encoder', which has its own: 2." in lines
    assert not any("does not reach the member 'linear'" in line for line in lines)


def test_a_stopped_stack_goes_on_and_ends_alike(settings, table, tmp_path):
    config = settings(only=["linear", "encoder"])
    whole = smallprint.train(table, config=config, out=tmp_path / "whole")

    def stop(line):
        if line.startswith("Member 'encoder', fold 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        smallprint.train(table, config=config, out=tmp_path / "stopped", say=stop)
    lines = []
    resumed = smallprint.train(resume=tmp_path / "stopped", say=lines.append)
    told = [line for line in lines if line.startswith("Member 'encoder'")]
    assert told[0] == "Member 'encoder', fold 1 of 3, was finished before: read from its checkpoint."
    assert told[1] == "Member 'encoder', fold 2 of 3:"
    assert told[2].endswith("left for this member:")
    assert json.loads(resumed.metrics_file.read_text()) == json.loads(whole.metrics_file.read_text())
    assert resumed.metrics_file.read_bytes() == whole.metrics_file.read_bytes()
    for file in sorted(whole.bundle.rglob("*.safetensors")):
        assert (resumed.bundle / file.relative_to(whole.bundle)).read_bytes() == file.read_bytes()


def test_a_small_model_learns_from_the_stack(settings, table, tiny_backbone, tmp_path):
    teacher = smallprint.train(table, config=settings(only=["linear"]), out=tmp_path / "teacher")
    model = {"backbone": str(tiny_backbone)}
    base = {"tracking": {"enabled": False}, "model": model}
    training = {"epochs": 6, "learning_rate": 1e-2, "head_learning_rate": 1e-2, "precision": "fp32"}
    from smallprint.core.settings import build_config

    held = teacher.run / "held_out_scores.parquet"
    frame = pl.read_parquet(held)
    turned = [[1 - value for value in row] for row in frame["scores"].to_list()]
    frame.with_columns(pl.Series("scores", turned)).write_parquet(held)  # a teacher of the opposite
    plain, opposite = (
        smallprint.train(table, config=build_config({**base, "training": {**training, **more}}), out=tmp_path / name)
        for name, more in (("alone", {}), ("taught", {"teacher": str(teacher.run), "teacher_weight": 1.0}))
    )
    texts = frame["text"].to_list()
    truth = np.array(frame["targets"].to_list())
    scores = [smallprint.load(result.run).score(texts) for result in (plain, opposite)]
    agreement = [np.corrcoef(part.ravel(), truth.ravel())[0, 1] for part in scores]
    assert agreement[0] > 0.2 > -0.2 > agreement[1]


def test_a_teacher_that_is_none_is_refused(settings, table, tiny_backbone, tmp_path):
    from smallprint.core.settings import build_config

    linear = build_config({"model": {"backbone": "tfidf"}, "tracking": {"enabled": False}})
    run = smallprint.train(table, config=linear, out=tmp_path / "linear").run
    student = {"model": {"backbone": str(tiny_backbone)}, "tracking": {"enabled": False}}
    for teacher in (str(run), str(tmp_path / "nothing")):
        config = build_config({**student, "training": {"teacher": teacher}})
        with pytest.raises(TrainingError, match="holds no held-out scores|does not exist"):
            smallprint.train(table, config=config, out=tmp_path / "student")
        assert not (tmp_path / "student").exists()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["model.head=mlp"], "model.head cannot go with model.backbone=stack"),
        (['stack.members={"a": ["model.backbone=stack"]}'], "member 'a' of the stack is a stack"),
        (['stack.members={"a": ["model.hed=mlp"]}'], "member 'a' of the stack: Unknown setting 'model.hed'"),
        (['stack.members={"a": ["training.seed=7"]}'], "settings of its own for training.seed"),
        (['stack.members={"a": ["model.head=svm"]}'], "model.head=svm cannot go with model.adapter=full"),
        (
            ['stack.members={"a": ["model.train_layers=1", "model.adapter=frozen"]}'],
            "model.train_layers cannot go with",
        ),
        (['stack.members={"a": ["model.layers=[1]", "model.train_layers=1"]}'], "model.train_layers cannot go with"),
        (['stack.members={"a": ["evaluation.threshold=fixed"]}'], "settings of its own for evaluation"),
        (['stack.members={"a": ["training.teacher=run"]}'], "settings of its own for training.teacher"),
        (["training.teacher=run"], "training.teacher cannot go with model.backbone=stack"),
        (['stack.members={"../a": []}'], "stack.members"),
        (
            ['stack.members={"a": ["model.adapter=frozen", "model.head=svm", "model.loss=focal"]}'],
            "model.loss cannot go with model.head=svm",
        ),
        (["stack.folds=1"], "stack.folds"),
        (["model.backbone=tfidf"], "stack.members cannot go with model.backbone=tfidf"),
    ],
)
def test_settings_that_do_not_go_together(settings, table, tmp_path, more, told):
    with pytest.raises(ConfigError, match=told):
        smallprint.train(table, config=settings(*more), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_held_out_scores_are_those_of_stacks_that_did_not_see_them(settings, table, tmp_path, monkeypatch):
    from smallprint.families import stack

    given = []

    def crossfit(scores, targets, groups, task):
        given.append(list(groups))
        return np.full_like(scores[0], 0.25)

    monkeypatch.setattr(stack, "crossfit_stack", crossfit)
    frame = pl.read_parquet(table).with_columns(firm=pl.Series([f"firm {i // 4}" for i in range(120)]))
    config = settings("data.group=firm", only=["linear"])
    result = smallprint.train(frame, config=config, out=tmp_path / "run")
    held = pl.read_parquet(result.run / "held_out_scores.parquet")
    assert given == [held["group"].to_list()]
    assert set(held["scores"].explode()) == {0.25}


def test_extra_rows_are_learned_by_all_folds_and_judged_by_none(settings, table, tmp_path):
    extra = tmp_path / "extra.csv"
    extra.write_text("text,labels\n" + "".join(f"scarlet extra {i},red\n" for i in range(30)))
    config = settings(f"data.extra={json.dumps(str(extra))}", only=["linear", "kernel"])
    result = smallprint.train(table, config=config, out=tmp_path / "run")
    texts = pl.read_parquet(result.run / "held_out_scores.parquet")["text"].to_list()
    assert len(texts) == 120 - result.test.n_examples
    assert not any("extra" in text for text in texts)
    engine = smallprint.load(result.run)
    known, other = engine.score(["scarlet extra", "moss"])[:, engine.labels.names.index("red")]
    assert known > 0.5 > other
    assert "extra" not in (result.bundle / "config.yaml").read_text().replace("extra: null", "")


def test_too_many_examples_for_a_member_are_found_before_anything_is_fitted(settings, table, tmp_path, monkeypatch):
    from smallprint.modeling import kernel_head

    monkeypatch.setattr(kernel_head, "MOST_TEXTS", 90)
    with pytest.raises(smallprint.SmallprintError, match="too many") as error:
        smallprint.train(table, config=settings(), out=tmp_path / "run")
    assert "'kernel'" in error.value.do
    assert not (tmp_path / "run").exists()


def test_evaluate_says_what_the_stack_learned_from(settings, table, tmp_path):
    run = smallprint.train(table, config=settings(only=["linear"]), out=tmp_path / "run").run
    lines = []
    for split in ("train", "validation", "test"):
        api.evaluate(run, table, split=split, say=lines.append)
    assert len(lines) == 2
    assert "learned from validation" in lines[1]


def test_what_a_killed_process_left_in_a_members_checkpoints_is_cleared(settings, table, tmp_path):
    from smallprint.core.run import open_run

    run = smallprint.train(table, config=settings(only=["encoder"]), out=tmp_path / "run").run
    left = run / "checkpoints" / "encoder" / "2" / ".last.ckpt.1.tmp"
    left.write_text("half")
    open_run(run)
    assert not left.exists()


def test_more_folds_than_groups_are_refused(settings, tmp_path):
    frame = pl.DataFrame(
        {"text": [f"text {i}" for i in range(8)], "label": ["red", "blue"] * 4, "firm": list("aabbccdd")}
    )
    path = tmp_path / "table.csv"
    frame.write_csv(path)
    config = settings("stack.folds=5", "data.group=firm", only=["linear"])
    with pytest.raises(smallprint.SmallprintError, match=r"groups are too few for 5 folds(.|\n)*Set stack\.folds to"):
        smallprint.train(path, config=config, out=tmp_path / "run")
