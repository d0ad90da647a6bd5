from smallprint.check.duplicates import check_duplicates, with_form


def look(rows):
    return check_duplicates(rows, with_form(rows))


def test_copies_across_splits_word_for_word_and_but_for_spelling(rows_of, kinds):
    rows = rows_of(
        {
            "train": [("We may close it.", ["end"]), ("You pay.", [])],
            "validation": [("Other.", [])],
            "test": [("we may close it", ["end"]), ("You pay.", []), ("New.", []), ("", [])],
        }
    )
    found = kinds(look(rows))
    leak = found["test-in-train"]
    assert leak.count == 2
    told = "2 texts of test stand in train too (1 with a label), 1 of them word for word (0 with a label)"
    assert told in leak.found
    assert [place.detail for place in leak.places] == [
        "but for spelling as train.csv, line 2",
        "word for word as train.csv, line 3",
    ]
    assert "validation-in-train" not in found


def test_repeats_inside_a_split(rows_of, kinds):
    rows = rows_of({"train": [("a b", []), ("A  B!", []), ("c", []), ("a b", [])]})
    finding = kinds(look(rows))["repeated-in-train"]
    assert finding.count == 2
    assert [place.row for place in finding.places] == [1, 3]
    assert {place.detail for place in finding.places} == {"as train.csv, line 2"}


def test_contradictions(rows_of, kinds):
    rows = rows_of({"train": [("a b", ["x"]), ("a B", []), ("c", ["x"]), ("c", ["x"])], "test": [("d", [])]})
    finding = kinds(look(rows))["contradiction"]
    assert finding.count == 1
    assert [place.detail for place in finding.places] == ["x", "no label"]


def test_all_rows_equal(rows_of, kinds):
    rows = rows_of({"train": [("same", ["x"])] * 5000, "test": [("same", ["x"])] * 3})
    found = kinds(look(rows))
    assert found["repeated-in-train"].count == 4999
    assert found["test-in-train"].count == 3
    assert len(found["repeated-in-train"].places) == 50


def test_nothing_to_find(rows_of):
    assert look(rows_of({"train": ["a", "b"], "test": ["c"]})) == []
