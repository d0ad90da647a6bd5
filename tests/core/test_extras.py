from __future__ import annotations

import json

import pytest

from smallprint.core.errors import MissingExtraError
from smallprint.core.extras import import_extra, missing_extra


def test_what_is_there_is_given():
    assert import_extra("json", "Nothing needs", "none") is json


def test_what_is_missing_is_named_with_the_way_to_install_it():
    with pytest.raises(
        MissingExtraError, match=r"Web pages need the package 'not_there', .*\n.*\n.*smallprint\[documents\]"
    ):
        import_extra("not_there.html", "Web pages need", "documents")


def test_a_missing_package_of_an_extra_says_which():
    told = missing_extra(ModuleNotFoundError("no", name="torch.nn"), "`smallprint train` needs")
    assert told is not None
    assert "pip install 'smallprint[train]'" in str(told)
    assert missing_extra(ModuleNotFoundError("no", name="of_somebody_else"), "it needs") is None
