import re
from xml.etree import ElementTree

import matplotlib

from smallprint.evaluation.svg import LINES, TEXT, render_svg


def draw(figure, label="a"):
    axes = figure.subplots()
    (line,) = axes.plot([0, 1], [0, 1], color=LINES[0], marker="o")
    axes.set_xlabel("x", color=TEXT)
    axes.legend([line], [label])


def test_colours_are_left_to_the_page():
    svg = render_svg(draw, title="t")
    assert "var(--plot-1, " in svg
    assert "fill: currentColor" in svg
    assert "#0a0b" not in svg
    assert "#000000" not in svg
    assert "#ffffff" not in svg


def test_it_has_a_role_a_title_and_nothing_that_reaches_the_page():
    root = ElementTree.fromstring(render_svg(draw, title="A <title> & more\x00"))
    title = root[0]
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", title.get("id"))
    assert title.text == "A <title> & more\ufffd"
    assert not [element for element in root.iter() if element.tag.endswith(("style", "metadata", "script"))]
    assert root.get("width") is None


def test_every_reference_has_its_id_and_ids_of_two_drawings_differ():
    def ids(svg):
        return re.findall(r'\bid="([^"]+)"', svg)

    first, second = render_svg(draw, title="t"), render_svg(lambda figure: draw(figure, "b"), title="t")
    assert len(ids(first)) == len(set(ids(first)))
    assert not set(ids(first)) & set(ids(second))
    references = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', first)
    assert references
    assert {a or b for a, b in references} <= set(ids(first))


def test_the_bytes_are_the_same_whatever_the_users_settings_and_these_stay():
    first = render_svg(draw, title="t")
    with matplotlib.rc_context({"lines.markersize": 9, "svg.fonttype": "path"}):
        assert render_svg(draw, title="t") == first
        assert matplotlib.rcParams["lines.markersize"] == 9


def test_a_file_of_its_own_has_a_size_and_a_ground():
    from smallprint.evaluation.svg import standalone

    alone = standalone(render_svg(lambda figure: None, title="t", width=2, height=1))
    root = ElementTree.fromstring(alone)
    assert (root.attrib["width"], root.attrib["height"]) == ("216", "108")
    assert "background: white" in root.attrib["style"]
