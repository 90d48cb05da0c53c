"""The page: valid HTML, nothing from elsewhere, every text escaped, the same bytes again."""

import itertools
import re

import html5lib
import numpy as np
import pytest

from medfs.reporting.charts import draw, legend
from medfs.reporting.page import render
from medfs.reporting.values import (
    Band,
    Card,
    Cell,
    Chart,
    Charts,
    Dots,
    Gallery,
    Likeness,
    Line,
    Page,
    Paragraph,
    Section,
    Slice,
    Table,
)

HOSTILE = "<script>alert(1)</script>\" onload='x' &amp; </style><img src=http://evil>"


def page(word: str) -> Page:
    rng = np.random.default_rng(0)
    shown = Slice(
        word,
        rng.integers(0, 256, (8, 8), dtype=np.uint8),
        rng.random((8, 8)) > 0.5,
        (1.0, 1.0),
        ("R", "A"),
        rng.normal(size=(8, 8)),
    )
    table = Table(
        word,
        (word, "number", "link", "like"),
        (
            (
                word,
                Cell("1", number=True, tone="bad"),
                Cell(word, link="case-001"),
                like(shown, word),
            ),
        ),
    )
    layers = (
        Band(((0.0, 0.1, 0.3), (1.0, 0.7, 0.9)), name=word),
        Line(((0.0, 0.0), (1.0, 1.0)), name="b", steps=True),
        Dots(((0.5, 0.5, 0.1, 0.9),), "c"),
    )
    blocks = (
        Paragraph(word, "warn"),
        table,
        Table("empty", ("a", "b"), ()),
        Gallery((Card("case-001", word, word, (shown,) * 3, (word,), "case-001"),)),
        Charts((Chart(word, word, word, word, layers),)),
    )
    return Page(word, word, word, (Section("one", word, blocks), Section("two", "Two", ())))


def like(shown: Slice, word: str) -> tuple[Likeness, ...]:
    return (Likeness("case-001", word, word, shown),)


@pytest.fixture(scope="module")
def hostile() -> str:
    return render(page(HOSTILE))


@pytest.mark.parametrize("word", ["plain", HOSTILE, "ü ∞ 中 \u202e"])
def test_it_is_valid_html(word):
    html5lib.HTMLParser(strict=True).parse(render(page(word)))


def test_no_text_becomes_an_element(hostile):
    tree = html5lib.parse(hostile, namespaceHTMLElements=False)
    names = {e.tag for e in tree.iter() if isinstance(e.tag, str)}
    assert not names & {"script", "img", "iframe", "object", "link", "base", "form"}
    for element in tree.iter():
        assert not [a for a in element.attrib if a.lower().startswith("on")]
    assert hostile.count("<style>") == hostile.count("</style>") == 1


def test_texts_arrive_as_they_were(hostile):
    tree = html5lib.parse(hostile, namespaceHTMLElements=False)
    assert tree.find(".//h1").text == HOSTILE
    assert tree.find(".//caption").text == HOSTILE


def test_nothing_is_loaded(hostile):
    tree = html5lib.parse(hostile, namespaceHTMLElements=False)
    found = [
        value
        for e in tree.iter()
        for name, value in e.attrib.items()
        if str(name).rpartition("}")[2] in ("src", "href", "action", "data", "srcset")
    ]
    assert found
    assert all(v.startswith(("#", "data:image/png;base64,")) for v in found)
    style = re.search(r"<style>(.*?)</style>", hostile, re.S).group(1)
    assert not re.search(r"url\(|@import|https?:", style)
    assert "default-src 'none'" in hostile


def test_the_same_page_is_the_same_text(hostile):
    assert render(page(HOSTILE)) == hostile


def test_links_lead_somewhere():
    tree = html5lib.parse(render(page("plain")), namespaceHTMLElements=False)
    places = {e.attrib["id"] for e in tree.iter() if "id" in e.attrib}
    links = {e.attrib["href"][1:] for e in tree.iter("a")}
    assert links <= places
    assert len([e for e in tree.iter() if "id" in e.attrib]) == len(places)


def test_it_can_be_read_without_eyes():
    tree = html5lib.parse(render(page("plain")), namespaceHTMLElements=False)
    drawings = list(tree.iter("{http://www.w3.org/2000/svg}svg"))
    assert drawings
    assert all(
        e.attrib.get("aria-label") or e.attrib.get("aria-hidden") == "true" for e in drawings
    )
    assert tree.attrib["lang"] == "en"
    for table in tree.iter("table"):
        assert table.find("caption") is not None
        assert all(th.attrib["scope"] for th in table.iter("th"))
    levels = [int(e.tag[1]) for e in tree.iter() if re.fullmatch("h[1-6]", str(e.tag))]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_a_chart_puts_points_where_they_belong():
    chart = Chart("t", "w", "x", "y", (Line(((0.0, 0.0), (1.0, 1.0))),), (0.0, 1.0), (0.0, 1.0))
    (x0, y0), (x1, y1) = (
        tuple(map(float, p.split(",")))
        for p in re.search(r'<polyline points="([^"]+)"', draw(chart)).group(1).split()
    )
    assert x0 < x1
    assert y0 > y1
    beyond = Chart("t", "w", "x", "y", (Line(((-9.0, -9.0), (9.0, 9.0))),))
    assert f'points="{x0:g},{y0:g} {x1:g},{y1:g}"' in draw(beyond)


def test_steps_go_up_before_they_go_across():
    chart = Chart("t", "w", "x", "y", (Line(((0.0, 0.0), (1.0, 1.0)), steps=True),))
    points = re.search(r'<polyline points="([^"]+)"', draw(chart)).group(1).split()
    xs = [p.split(",")[0] for p in points]
    assert len(points) == 3
    assert xs[0] == xs[1]


def test_a_legend_names_each_layer_once():
    layers = (Line((), name="a"), Line((), name="a"), Dots((), "b"), Band(()))
    assert [name for name, _ in legend(Chart("t", "w", "x", "y", layers))] == ["a", "b"]


def test_colours_can_be_told_from_the_paper():
    """WCAG 2.2, 1.4.3: text has a contrast of 4.5 or more, in the light and in the dark."""
    from importlib.resources import files

    style = files("medfs.reporting").joinpath("templates/style.css").read_text("utf-8")
    for block in re.findall(r":root \{(.*?)\}", style, re.S):
        colour = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for text, paper in [
            *((t, p) for t in ("ink", "soft", "link") for p in ("paper", "raised")),
            *((t, "paper") for t in ("good", "bad", "warn")),
            ("warn", "warn-paper"),
            *(("ink", f"{tone}-paper") for tone in ("good", "bad", "warn")),
        ]:
            assert contrast(colour[text], colour[paper]) >= 4.5, (text, paper)


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
