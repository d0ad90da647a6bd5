"""The page of a sweep: every number has a table, it reads in the dark, in grey and on a phone, and nothing escapes into it."""

import copy
import re
import shutil

import pytest

from smallprint.sweep.page import describe_domain, render_page
from smallprint.sweep.plots import UNUSED, marks_of, place_of
from smallprint.sweep.result import verdict

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def trial(index, state, value, **settings):
    start = "default" if index == 0 else ""
    why = "" if state == "complete" else "below the median of the others"
    return {
        **{"index": index, "state": state, "settings": settings, "value": value, "start": start},
        **{"curve": [], "seconds": 1.5, "why": why},
    }


def seeds(*values):
    mean = sum(values) / len(values)
    return {
        "seeds": [43, 44][: len(values)],
        "values": list(values),
        "mean": mean,
        "spread": 0.01 if values[1:] else None,
    }


@pytest.fixture
def found():
    space = {
        "model.head": {"choices": ["svm", "mlp"]},
        "model.layers": {"choices": [[6], [2, 4, 6]]},
        "model.svm.cost": {"low": 0.1, "high": 10.0, "log": True, "when": {"model.head": ["svm"]}},
    }
    return {
        **{
            "data": "<script>alert(1)</script>",
            "task": "multilabel",
            "judged_by": "the validation split",
            "sampler": "tpe",
        },
        **{
            "examples_judged": 900,
            "examples_train": 3000,
            "seed": 42,
            "space": space,
            "run": "/runs/<b>",
            "test_opened": 1,
        },
        "trials": [
            trial(0, "complete", 0.5, **{"model.head": "mlp", "model.layers": [6]}),
            trial(1, "complete", 0.7, **{"model.head": "svm", "model.layers": [2, 4, 6], "model.svm.cost": 2.0}),
            trial(2, "pruned", 0.4, **{"model.head": "mlp", "model.layers": [6]}),
            trial(3, "failed", None, **{"model.head": "mlp", "model.layers": [6]}),
            trial(4, "complete", 0.6, **{"model.head": "svm", "model.layers": [6], "model.svm.cost": 9.0}),
        ],
        "best": {"index": 1, "settings": {"model.head": "svm", "model.svm.cost": 2.0}, "value": 0.7, "start": ""},
        "default_settings": {"model.head": "mlp", "model.layers": [6]},
        "winner": seeds(0.68, 0.7),
        "default": seeds(0.5, 0.52),
        "difference": {
            **{"difference": 0.18, "low": 0.1, "high": 0.2, "seeds": 2, "units": 12, "over_groups": True},
            **{"level": 0.95, "better": True},
        },
        "test": {"n_examples": 800, "values": {"f1_macro": 0.61}},
        "importances": {"model.svm.cost": 0.8, "model.head": 0.2, "model.layers": 0.0},
        "versions": {"optuna": "5"},
    }


def test_better_is_said_only_where_the_interval_says_so(found):
    assert verdict(found).startswith(
        "The winner is better than the defaults: +0.1800 [+0.1000, +0.2000], 95% interval over 2 seeds"
    )
    found["difference"] |= {"low": -0.01, "better": False}
    assert verdict(found).startswith("The winner is not shown to be better")
    found["difference"] |= {"high": -0.001}
    assert verdict(found).startswith("The winner is worse")
    found["difference"] = None
    assert "No settings that were tried did better" in verdict(found)


def test_every_trial_stands_in_the_table_and_nothing_is_markup_that_was_not_meant(found):
    page = render_page(found)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<svg") == 3
    assert re.findall(r'<tr><th scope="row">(\d)(?: \(own settings\))?</th>', page.split("best first")[1]) == list(
        "25134"
    )
    assert "12 groups" in page
    assert "too narrow" in page
    assert not re.search(r"(?:src|href)=.?https?:", page)


def test_a_page_of_the_defaults_alone(found):
    found = copy.deepcopy(found)
    found |= {"difference": None, "importances": {}, "trials": found["trials"][:1], "winner": found["default"]}
    found["best"] = {"index": 0, "settings": {}, "value": 0.5, "start": "default"}
    page = render_page(found)
    assert "Too few trials were completed to say." in page
    assert "Difference" not in page


def test_values_stand_where_they_belong():
    log = {"low": 0.1, "high": 10.0, "log": True}
    assert [place_of(log, value) for value in (0.1, 1.0, 10.0, 99.0, 0.0)] == pytest.approx([0, 0.5, 1, 1, 0])
    assert place_of({"choices": ["a", "b", "c"]}, "b") == 0.5
    assert place_of({"choices": ["a"]}, "z") == UNUSED
    assert [name for _, name in marks_of({"low": 1, "high": 4})] == ["1", "4"]
    assert (
        describe_domain({**log, "when": {"model.head": ["svm"]}}) == "0.1 to 10, by factors (where model.head is svm)"
    )


@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_no_serious_barrier_and_no_sideways_scrolling(found, tmp_path, width, scheme):
    play = pytest.importorskip("playwright.sync_api")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    (tmp_path / "page.html").write_text(render_page(found), encoding="utf-8")
    with play.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True)
        page.goto((tmp_path / "page.html").as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        violations = axe.Axe().run(page).response["violations"]
        assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
        browser.close()
