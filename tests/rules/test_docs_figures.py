"""Figures are what the code draws from results and imports, byte for byte, and have colours for light and dark."""

import importlib.util
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from smallprint.bench.chart import render_chart

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "docs" / "figures"


@pytest.fixture(scope="module")
def figures():
    """docs/figures.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_figures", ROOT / "docs" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_drawing_again_gives_the_same_bytes(figures):
    assert {path.stem for path in FIGURES.glob("*.svg")} == set(figures.DRAWN)
    for name, draw in figures.DRAWN.items():
        assert (FIGURES / f"{name}.svg").read_bytes() == draw().encode(), f"{name}: make pages"
    results = ROOT / "benchmarks" / "results"
    chart = render_chart(json.loads((results / "figure1.json").read_text(encoding="utf-8")))
    assert (results / "figure1.svg").read_bytes() == chart.encode()


def test_each_is_an_image_with_a_title_and_two_schemes_and_is_shown(figures):
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    for name in figures.DRAWN:
        text = (FIGURES / f"{name}.svg").read_text(encoding="utf-8")
        root = ET.fromstring(text)
        assert root.find("{http://www.w3.org/2000/svg}title").text
        assert "prefers-color-scheme:dark" in text
        assert f"figures/{name}.svg" in pages


def test_the_architecture_shows_real_imports_that_go_down(figures):
    rows = figures.layers()
    place = {part: k for k, row in enumerate(rows) for part in row}
    on_disk = {path.stem for path in (ROOT / "src" / "smallprint").iterdir() if not path.stem.startswith("_")}
    assert set(place) <= on_disk
    within, outside = figures.imports_of("modeling")
    assert within["core"] > 5
    assert "torch" in outside
    for part in place:
        for other in figures.imports_of(part)[0]:
            assert other not in place or place[other] >= place[part], f"{part} imports {other}"


def test_a_new_result_changes_a_figure(figures, monkeypatch):
    real = figures.read
    changed = real("figure1")
    changed["rows"][-1]["mean"]["nine_macro"] -= 0.05
    before = figures.certainty()
    monkeypatch.setattr(figures, "read", lambda name: changed if name == "figure1" else real(name))
    assert figures.certainty() != before


def test_every_picture_has_its_dark_one_and_is_shown():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    light = sorted(FIGURES.glob("*-light.png"))
    assert len(light) >= 3
    for picture in light:
        assert picture.with_name(picture.name.replace("-light", "-dark")).exists()
        assert f"figures/{picture.name})" in pages
        assert picture.stat().st_size < 200_000
    printed = sorted(FIGURES.glob("*-print.png"))  # paper is white
    assert printed
    assert all(f"figures/{picture.name})" in pages and picture.stat().st_size < 200_000 for picture in printed)
    assert len(list(FIGURES.glob("*.png"))) == 2 * len(light) + len(printed)
