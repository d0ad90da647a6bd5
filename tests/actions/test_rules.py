import pytest

from smallprint.actions.rules import Rule, read_rules
from smallprint.core.errors import ConfigError

LABELS = ["Arbitration", "Choice of law"]


def read(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    return read_rules(tmp_path / "rules.yaml", LABELS)


def test_rules_of_a_file(tmp_path):
    rules = read(
        tmp_path,
        "- {name: a, when: [person], labels: [Arbitration], command: [cat]}\n- {name: b, webhook: 'https://x.org/y'}\n",
    )
    assert [rule.name for rule in rules] == ["a", "b"]
    assert rules[0].takes({"label": "Arbitration", "decision": "person"})
    assert not rules[0].takes({"label": "Arbitration", "decision": "flagged"})
    assert not rules[0].takes({"label": "Choice of law", "decision": "person"})
    assert rules[1].takes({"label": "Choice of law"})
    assert not rules[1].takes({"label": "Choice of law", "decision": "cleared"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no list of rules"),
        ("name: a", "holds no list of rules"),
        ("- {name: a}", "one of webhook, command and call is needed"),
        ("- {name: a, command: [x], call: 'm:f'}", "and no two"),
        ("- {name: a, command: []}", "rule 1, command"),
        ("- {name: a, webhook: 'file:///etc/passwd'}", "no http or https address"),
        ("- {name: a, webhook: 'http://host:abc/x'}", "rule 1, webhook: .*[Pp]ort"),
        ("- {name: a, webhook: 'http://host:99999/x'}", "rule 1, webhook: .*[Pp]ort"),
        ("- {name: a, webhook: 'http:///x'}", "rule 1, webhook: .*names no host"),
        ("- {name: a, webhook: 'http://[::1/x'}", "rule 1, webhook"),
        ("- {name: a, webhook: 'http://h/x y'}", "white space"),
        ("- {name: a, webhook: 'http://h/x?q=\u00e4'}", "beyond ASCII"),
        ("- {name: a, webhook: 'https://user:hidden@h/'}", "not be sent; sign it with secret"),
        ("- {name: a, command: [x], secret: S}", "secret signs a webhook"),
        ("- {name: a b, command: [x]}", "rule 1, name"),
        ("- {name: a, command: [x], wen: [person]}", "rule 1, wen"),
        ("- {name: a, command: [x], when: [maybe]}", "rule 1, when.0"),
        ("- {name: a, command: [x]}\n- {name: a, command: [y]}", "two rules are called 'a'"),
        ("- {name: a, command: [x], labels: [Arbitraton]}", "has no label 'Arbitraton'"),
        ("- [", "cannot be read"),
        ("- {name: a, command: [x], labels: [2024-02-30]}", "cannot be read"),
        ("- {name: a}\n- {name: b}", "rule 1: .*; rule 2: "),
    ],
)
def test_mistakes_are_all_told(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, text)


def test_a_password_in_an_address_is_not_shown(tmp_path):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, "- {name: a, webhook: 'https://user:hidden@h/'}")
    assert "hidden" not in str(error.value)


def test_addresses_that_work(tmp_path):
    for address in ("http://127.0.0.1:8080/x?y=%20", "https://[::1]:8443/", "https://b\u00fccher.example/x"):
        assert read(tmp_path, f"- {{name: a, webhook: '{address}'}}")[0].webhook == address


def test_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_rules(tmp_path / "none.yaml", LABELS)


def test_defaults_are_each_rules_own():
    one, two = Rule(name="a", command=["x"]), Rule(name="b", command=["x"])
    assert one.when == two.when
    assert one.when is not two.when
