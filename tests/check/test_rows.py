import pytest

from smallprint.check.rows import check_rows


def test_texts_that_are_none(rows_of, kinds):
    rows = rows_of({"train": ["fine", None, "", "  \t", "also fine"], "test": [None]})
    found = kinds(check_rows(rows))
    empty = found["empty-text"]
    assert (empty.severity, empty.count) == ("error", 4)
    assert [(place.where, place.detail) for place in empty.places] == [
        ("train.csv, line 3", "no value"),
        ("train.csv, line 4", "empty"),
        ("train.csv, line 5", "white space"),
        ("test.csv, line 2", "no value"),
    ]
    assert set(found) == {"empty-text"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CafÃ© au lait", "mojibake"),
        ("itâ€™s ours", "mojibake"),
        ("caf\ufffd", "mojibake"),
        ("a\x07bell", "control-characters"),
        ("abc\u202edef", "direction-characters"),
        ("zero\u200bwidth", "unseen-characters"),
        ("12 345 !!", "no-letters"),
    ],
)
def test_characters(rows_of, kinds, text, kind):
    found = kinds(check_rows(rows_of({"train": ["fine words", text]})))
    assert set(found) == {kind}
    assert [place.row for place in found[kind].places] == [1]


def test_a_column_of_numbers_is_a_warning_and_a_few_of_them_a_note(rows_of, kinds):
    numbers, texts = [f"{i} 000" for i in range(20)], [f"clause {i}" for i in range(20)]
    most = kinds(check_rows(rows_of({"train": [*numbers, None, "a text"]})))["no-letters"]
    assert (most.severity, most.count) == ("warning", 20)
    assert "most of them" in most.found
    few = kinds(check_rows(rows_of({"train": [*texts, *numbers[:3]]})))["no-letters"]
    assert (few.severity, few.count) == ("note", 3)


@pytest.mark.parametrize(
    "text",
    [
        "Café naïve Übergröße",
        "Ça va, Ângela",
        "tabs\tand\nlines",
        "日本語の契約",
        "العربية",
        "“quotes” – dashes … €",
        "São",
    ],
)
def test_good_text_of_many_languages_is_let_pass(rows_of, text):
    assert check_rows(rows_of({"train": [text]})) == []


def test_far_longer_than_the_others(rows_of, kinds):
    rows = rows_of({"train": [f"clause {i}" for i in range(300)] + ["x y " * 20_000]})
    finding = kinds(check_rows(rows))["extreme-length"]
    assert finding.count == 1
    assert finding.places[0].detail == "80,000 characters"
    assert len(finding.places[0].text) <= 160


def test_all_long_is_not_extreme(rows_of):
    assert check_rows(rows_of({"train": ["word " * 3000] * 50})) == []
