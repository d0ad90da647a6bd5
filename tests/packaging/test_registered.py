"""What a registry says becomes part of a path here: only what cannot lead elsewhere."""

from types import SimpleNamespace

import pytest

from smallprint.core.errors import BundleError
from smallprint.packaging import registered
from smallprint.packaging.registered import Word, cache_folder, find_version, read_word


@pytest.mark.parametrize("word", ["..@champion", ".@1", "a/b@champion", "a@../b", "a:b@c"])
def test_words_that_could_lead_out_of_the_cache_are_none(word):
    assert read_word(word) is None


@pytest.mark.parametrize("digest", ["/../../../../x", "", None, "0" * 63, "A" * 64, "0" * 64 + "/"])
def test_a_hash_that_is_none_is_refused(digest, monkeypatch):
    entry = SimpleNamespace(tags={registered.HASH: digest}, version="1")
    client = SimpleNamespace(get_model_version=lambda name, which: entry)
    monkeypatch.setattr(registered, "open_client", lambda uri: client)
    with pytest.raises(BundleError, match="was not registered by smallprint"):
        find_version(Word("a", "1"), "http://127.0.0.1:9")


def test_a_copy_lies_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALLPRINT_CACHE", str(tmp_path))
    entry = SimpleNamespace(tags={registered.HASH: "0" * 64}, version="1")
    monkeypatch.setattr(
        registered, "open_client", lambda uri: SimpleNamespace(get_model_version=lambda name, which: entry)
    )
    folder = cache_folder(find_version(Word("a", "1"), "http://127.0.0.1:9"))
    assert folder.resolve().is_relative_to(tmp_path)
    assert folder.parent.name == "a"
