"""What the tags of a version say of it."""

from types import SimpleNamespace

from smallprint.registry.listing import _version, tell_models
from smallprint.registry.promote import _notes

EARLY, LATE = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"


def version(aliases=(), history=(2,), **tags):
    named = {f"smallprint.{name}.champion": value for name, value in tags.items() if name != "n_test"}
    entry = SimpleNamespace(version="2", creation_timestamp=0, run_id="", tags=named)
    entry.tags |= {f"smallprint.{name}": value for name, value in tags.items() if name == "n_test"}
    return _version(entry, {2: [*aliases]}, {"champion": [*history]})


def test_a_version_that_was_promoted_again_is_not_called_rolled_back():
    assert version(history=[1], promoted=EARLY, rolled_back=LATE)["rolled_back"] == {"champion": LATE}
    assert version(history=[1], promoted=EARLY, rolled_back=EARLY)["rolled_back"] == {"champion": EARLY}
    assert version(history=[2, 3], promoted=LATE, rolled_back=EARLY)["rolled_back"] == {}
    assert version(["champion"], promoted=EARLY, rolled_back=EARLY)["rolled_back"] == {}


def test_a_promotion_tells_anew_what_an_earlier_one_told():
    tags = {}
    for notes in (_notes("champion", None, True), _notes("champion")):  # forced; and once more, where nothing moved
        tags |= {key.split(".")[1]: value for key, value in notes.items()}
        assert version(["champion"], **tags)["forced"] == ["champion"]
    tags |= {key.split(".")[1]: value for key, value in _notes("champion", None, False).items()}
    found = version(["champion"], **tags)
    assert (found["forced"], found["verdict"]) == ([], {})


def test_test_rows_are_a_number_or_null():
    assert [version(n_test=told)["n_test"] for told in ("40", "")] == [40, None]
    assert version()["n_test"] is None


def test_a_version_of_which_nothing_is_known_is_a_line():
    lines = tell_models([{"name": "m", "aliases": {}, "history": {}, "versions": [version()]}], detailed=True)
    assert lines[1].split() == ["2", "1970-01-01T00:00:00+00:00"]
