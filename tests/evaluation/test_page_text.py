from hypothesis import given
from hypothesis import strategies as st

from smallprint.evaluation.page_text import printable, shorten


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())))
def test_any_text_can_be_written_and_keeps_its_length(text):
    shown = printable(text)
    shown.encode("utf-8")
    assert len(shown) == len(text)
    assert "\x00" not in shown


def test_only_what_is_forbidden_goes():
    assert printable("a\x00b\x1b[0m\ud800\uffff") == "a\ufffdb\ufffd[0m\ufffd\ufffd"
    assert printable("tab\t line\n Ünïcode 合同 🙂 <b>&") == "tab\t line\n Ünïcode 合同 🙂 <b>&"


def test_shorten():
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abc def", 5) == "abc…"
    assert shorten("abc", 1) == "…"
