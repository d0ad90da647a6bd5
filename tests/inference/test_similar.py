from smallprint.inference.similar import Similar

TEXTS = [
    "we may close your account",
    "We may close your account.",
    "the court decides",
    "you may leave at any time",
    "…",
]
LABELS = [["closing"], ["other"], ["law"], [], []]


def test_the_nearest_come_first_with_their_labels():
    found = Similar(TEXTS, LABELS).nearest(["they may close an account", "zebra", "the court"], 2)
    assert found[0][0] == {"text": TEXTS[0], "labels": ["closing"], "likeness": found[0][0]["likeness"]}
    assert [like["text"] for like in found[0]] == [TEXTS[0], TEXTS[3]]  # of equal texts the first alone
    assert found[0][0]["likeness"] > found[0][1]["likeness"] > 0
    assert found[1] == []
    assert found[2][0]["labels"] == ["law"]


def test_many_texts_are_compared_in_parts_with_the_same_answer(monkeypatch):
    asked = ["they may close an account", "zebra", "the court"]
    whole = Similar(TEXTS, LABELS).nearest(asked, 2)
    monkeypatch.setattr("smallprint.inference.similar.MOST_CELLS", 1)
    assert Similar(TEXTS, LABELS).nearest(asked, 2) == whole


def test_of_a_long_sentence_the_window_is_compared():
    text = "the court decides " * 30 + "they may close your account"
    finding = {
        "text": text,
        "start": 100,
        "end": 100 + len(text),
        "window": {"start": 100 + 540, "end": 100 + len(text)},
    }
    entry = {"findings": [finding]}
    similar = Similar(TEXTS, LABELS)
    similar.add_to(entry, 1)
    assert finding["similar"][0]["labels"] == ["closing"]
    similar.add_to({"name": "unread", "error": {}}, 1)


def test_without_words():
    assert Similar(["?", "!"], [[], []]).nearest(["text"], 3) == [[]]
