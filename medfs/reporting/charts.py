"""Charts as SVG: linear axes, lines, bands, dots. Colours are classes, so that a style sheet may
change them for the dark and for print."""

from collections.abc import Callable, Iterable

from markupsafe import Markup

from medfs.reporting.svg import element, number
from medfs.reporting.values import Band, Chart, Dots, Line

_WIDTH, _HEIGHT = 340.0, 320.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 48.0, 10.0, 12.0, 42.0
_TICKS = 5
Place = Callable[[float, float], tuple[float, float]]


def draw(chart: Chart) -> Markup:
    """The chart; its words are its alternative text."""
    place = _placing(chart)
    inside = [*_grid(chart, place), *(_layer(layer, place) for layer in chart.layers)]
    return element(
        "svg",
        *inside,
        *_names(chart),
        viewBox=f"0 0 {number(_WIDTH)} {number(_HEIGHT)}",
        class_="chart",
        role="img",
        aria_label=f"{chart.title}. {chart.in_words}",
    )


def legend(chart: Chart) -> tuple[tuple[str, Markup], ...]:
    """(name, sample) of every layer that has a name, once each."""
    named = {layer.name: layer for layer in chart.layers if layer.name}
    return tuple((name, _sample(layer)) for name, layer in named.items())


def _placing(chart: Chart) -> Place:
    (x0, x1), (y0, y1) = chart.x_range, chart.y_range

    def place(x: float, y: float) -> tuple[float, float]:
        # What lies beyond the axes is shown at their end.
        right = (min(max(x, x0), x1) - x0) / (x1 - x0)
        up = (min(max(y, y0), y1) - y0) / (y1 - y0)
        across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + right * across, _TOP + (1 - up) * down

    return place


def _grid(chart: Chart, place: Place) -> list[Markup]:
    (x0, x1), (y0, y1) = chart.x_range, chart.y_range
    drawn = []
    for k in range(_TICKS + 1):
        x, y = x0 + (x1 - x0) * k / _TICKS, y0 + (y1 - y0) * k / _TICKS
        (ax, ay), (bx, by) = place(x, y0), place(x, y1)
        (cx, cy), (dx, dy) = place(x0, y), place(x1, y)
        drawn += [
            element("line", x1=ax, y1=ay, x2=bx, y2=by, class_="grid"),
            element("line", x1=cx, y1=cy, x2=dx, y2=dy, class_="grid"),
            element("text", _tick(x, x1 - x0), x=ax, y=ay + 15, class_="tick middle"),
            element("text", _tick(y, y1 - y0), x=cx - 6, y=cy + 4, class_="tick end"),
        ]
    return drawn


def _tick(value: float, span: float) -> str:
    return number(round(value)) if span >= 10 else number(value)


def _names(chart: Chart) -> list[Markup]:
    middle = _TOP + (_HEIGHT - _TOP - _BOTTOM) / 2
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    turned = f"rotate(-90 12 {number(middle)})"
    return [
        element("text", chart.x_name, x=x, y=_HEIGHT - 8, class_="axis middle"),
        element("text", chart.y_name, x=12, y=middle, class_="axis middle", transform=turned),
    ]


def _layer(layer: Line | Band | Dots, place: Place) -> Markup:
    if isinstance(layer, Line):
        return element("polyline", points=_points(_stepped(layer), place), class_=layer.style)
    if isinstance(layer, Band):
        outline = [(x, low) for x, low, _ in layer.points]
        outline += [(x, high) for x, _, high in reversed(layer.points)]
        return element("polygon", points=_points(outline, place), class_=layer.style)
    return element("g", *(_dot(dot, place) for dot in layer.points), class_="dots")


def _stepped(line: Line) -> Iterable[tuple[float, float]]:
    """With `steps`, first up and then across, as an empirical curve goes."""
    if not line.steps:
        return line.points
    found = list(line.points[:1])
    for x, y in line.points[1:]:
        found += [(found[-1][0], y), (x, y)]
    return found


def _dot(dot: tuple[float, float, float, float], place: Place) -> Markup:
    x, y, low, high = dot
    (cx, cy), (_, y1), (_, y2) = place(x, y), place(x, low), place(x, high)
    return element(
        "g", element("line", x1=cx, y1=y1, x2=cx, y2=y2), element("circle", cx=cx, cy=cy, r=4)
    )


def _points(points: Iterable[tuple[float, float]], place: Place) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in (place(*p) for p in points))


def _sample(layer: Line | Band | Dots) -> Markup:
    if isinstance(layer, Line):
        shown = element("polyline", points="1,6 23,6", class_=layer.style)
    elif isinstance(layer, Band):
        shown = element("rect", x=1, y=1, width=22, height=10, class_=layer.style)
    else:
        shown = element("g", element("circle", cx=12, cy=6, r=4), class_="dots")
    return element("svg", shown, viewBox="0 0 24 12", class_="sample", aria_hidden="true")
