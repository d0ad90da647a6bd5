from smallprint.check.labels import check_labels, support_table


def look(rows):
    return check_labels(rows, support_table(rows))


def test_support(rows_of):
    rows = rows_of({"train": [("a", ["x"]), ("b", ["x", "y"])], "test": [("c", ["y"])]})
    assert support_table(rows) == {"train": {"x": 2, "y": 1}, "test": {"x": 0, "y": 1}}


def test_labels_that_are_rare_or_missing(rows_of, kinds):
    many = [(f"t{i}", ["x"]) for i in range(6)]
    rows = rows_of({"train": [*many, ("a", ["y"])], "test": [("b", ["z"])]})
    found = kinds(look(rows))
    assert found["label-missing-from-train"].severity == "error"
    assert "z" in found["label-missing-from-train"].found
    assert "1 of them one: y (1)" in found["rare-label"].found
    assert "x, y" in found["label-missing-from-test"].found


def test_a_rare_label_that_is_spelt_like_another_is_named_with_it(rows_of, kinds):
    many = [(f"t{i}", [name]) for i in range(6) for name in ("fraud", "card_pin", "fee")]
    rows = rows_of({"train": [*many, ("a", ["Fraud"]), ("b", ["card_pn"]), ("c", ["refund"])]}, task="multiclass")
    told = kinds(look(rows))["rare-label"].found
    assert "Fraud (1, like 'fraud')" in told
    assert "card_pn (1, like 'card_pin')" in told
    assert "refund (1)" in told
    places = kinds(look(rows))["rare-label"].places
    assert [(place.row, place.detail) for place in places] == [(18, "Fraud"), (19, "card_pn"), (20, "refund")]


def test_labels_that_could_not_be_read_are_not_called_missing(rows_of, kinds):
    rows = rows_of({"train": [("a", None), ("b", None)]}, task="multiclass", names=["x", "y"])
    assert "label-missing-from-train" not in kinds(look(rows))
    empty = rows_of({"train": [("a", []), ("b", [])]}, names=["x", "y"])
    assert "label-missing-from-train" in kinds(look(empty))


def test_names_that_are_several_names_with_a_sign_between_them(rows_of, kinds):
    names = [["claim"], ["complaint"], ["move"], ["claim, complaint"], ["complaint,move"], ["up, down"], ["and/or"]] * 5
    found = kinds(look(rows_of({"train": [(f"t {i}", labels) for i, labels in enumerate(names)]}, task="multiclass")))
    assert found["joined-labels"].count == 2
    assert "'claim, complaint', 'complaint,move'" in found["joined-labels"].found
    assert 'data.delimiter=","' in found["joined-labels"].do
    assert "joined-labels" not in kinds(look(rows_of({"train": [("a", ["x"]), ("b", ["y"]), ("c", ["x, y"])]})))


def test_labels_that_hardly_come_alone(rows_of, kinds):
    rows = rows_of({"train": [(f"a{i}", ["x", "y"]) for i in range(10)] + [(f"b{i}", ["y"]) for i in range(10)]})
    assert "'x' with 'y' (10 of 10)" in kinds(look(rows))["bound-labels"].found


def test_groups_in_two_splits(rows_of, kinds):
    rows = rows_of({"train": [("a", [], "one"), ("b", [], "two")], "test": [("c", [], "one"), ("d", [], None)]})
    finding = kinds(look(rows))["group-in-two-splits"]
    assert (finding.severity, finding.count) == ("error", 1)
    assert "one (train, test)" in finding.found


def test_ten_thousand_labels_are_not_looked_at_by_pairs(rows_of):
    rows = rows_of({"train": [(f"t{i}", [f"l{i}"]) for i in range(10_000)]}, task="multiclass")
    findings = look(rows)  # by pairs it would be minutes
    assert len(findings[0].found) < 400
