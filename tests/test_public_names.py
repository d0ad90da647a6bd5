import smallprint

NAMES = {
    "__version__", "train", "blend", "evaluate", "predict", "predict_file", "load", "report", "Config", "load_config", "Parts",
    "SmallprintError", "Metrics", "Prediction", "ScoredSplit", "TrainResult", "Engine", "LabelSet", "open_source",
    "compute_metrics", "tune_thresholds", "TextClassifier", "TextDataModule", "ClassifierModule",
}  # fmt: skip


def test_the_public_names_are_these_and_resolve():
    assert set(smallprint.__all__) == NAMES
    assert len(NAMES) <= 25
    for name in NAMES:
        assert getattr(smallprint, name) is not None
