"""What is wrong with a store is told in words, and never a password."""

import sys

import pytest

from smallprint.core.errors import BundleError, MissingExtraError
from smallprint.core.mlflow_store import open_client, shown, store_errors

ADDRESS = "postgresql://anna:p@ss@host/runs?password=secret&x=1"


def test_no_password_is_shown():
    for words in (ADDRESS, f"could not connect: {ADDRESS} at 10:00", "http://anna:p@host:5000"):
        assert not [part for part in ("p@", "ss@", "anna", "secret") if part in shown(words)]
    assert shown("https://host/a@b") == "https://host/a@b"
    with pytest.raises(BundleError) as error, store_errors(ADDRESS):
        raise ValueError(f"odd {ADDRESS}")
    assert "secret" not in str(error.value)
    assert "anna" not in str(error.value)


def test_without_mlflow_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'smallprint\[train\]'"), store_errors("http://h"):
        open_client("http://h")
