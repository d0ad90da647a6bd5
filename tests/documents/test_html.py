"""Web pages: forms, headers and footers that hold clauses are read, and only blocks part paragraphs."""

from __future__ import annotations

import pytest

from smallprint.documents.read import read_document

pytest.importorskip("lxml")

CLAUSE = "We may terminate your account at any time."


def lines(body: str) -> list[str]:
    return read_document(f"<!doctype html><html><body>{body}</body></html>".encode(), "a.html").text.split("\n")


def test_a_form_around_the_page_is_read_without_its_controls():
    controls = "<input value='a'><select><option>b</select><button>c</button><textarea>d</textarea><datalist><option>e</datalist>"
    assert lines(f"<form action=x.aspx><div><h1>Terms</h1><p>{CLAUSE}</p>{controls}</div></form>") == ["Terms", CLAUSE]
    assert lines(f"<p>Before</p><form>{CLAUSE}</form>after") == ["Before", CLAUSE, "after"]
    assert lines(f"<form role=search>Find</form><p>{CLAUSE}</p>") == [CLAUSE]


@pytest.mark.parametrize(
    "tags", [("<main>", "</main>"), ("<div><article>", "</article></div>"), ("<div role=main>", "</div>")]
)
@pytest.mark.parametrize("around", ["", "<p>Other things than the text itself.</p>" * 9])
def test_header_and_footer_inside_of_the_text_are_read(tags, around):
    opening, closing = tags
    text = f"<header><h1>Terms</h1><p>You agree to arbitration.</p></header><p>{CLAUSE}</p><footer><p>We can change it.</p></footer>"
    found = lines(f"<header>Logo</header>{opening}{text}{closing}{around}<footer>Imprint</footer>")
    assert found[:4] == ["Terms", "You agree to arbitration.", CLAUSE, "We can change it."]
    assert "Imprint" not in found


def test_what_stands_in_a_line_parts_no_paragraph():
    policy = "You agree to our <a href=x>Privacy Policy<svg><text>i</text></svg></a> and we may <st1:place>terminate</st1:place> you"
    said = "You agree to our Privacy Policy and we may terminate you"
    assert lines(f"<p>{policy} <img src=x> always<script>x()</script>.</p>") == [f"{said} always."]
    assert lines(f"<p>{said}, <acme-term>for <u>any</u> reason</acme-term><input>, <label>always</label>.</p>") == [
        f"{said}, for any reason, always."
    ]


@pytest.mark.parametrize(
    "parts",
    [
        "<div>{}<div>{}</div>{}</div>",
        "<ul><li>{}<li>{}<li>{}</ul>",
        "<dl><dt>{}<dd>{}<dt>{}</dl>",
        "{}<br>{}<hr>{}",
        "<table><caption>{}<tr><th>{}<td>{}</table>",
        "<details><summary>{}</summary>{}</details><figure><figcaption>{}</figure>",
        "<fieldset><legend>{}</legend>{}</fieldset>{}",
        "<blockquote>{}</blockquote><pre>{}</pre><address>{}</address>",
        "<section>{}</section><article>{}</article><center>{}</center>",
        "{}<nav>Menu</nav>{}<aside>More</aside>{}",
    ],
)
def test_blocks_part_paragraphs(parts):
    assert lines(parts.format("One", "two", "three")) == ["One", "two", "three"]
