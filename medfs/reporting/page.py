"""Page → HTML. Texts are escaped by jinja2 wherever they come from."""

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from medfs.reporting.charts import draw, legend
from medfs.reporting.pictures import picture
from medfs.reporting.values import (
    Block,
    Card,
    Cell,
    Charts,
    Entry,
    Gallery,
    Likeness,
    Page,
    Paragraph,
    Slice,
    Table,
)

_KINDS = {Paragraph: "paragraph", Table: "table", Gallery: "gallery", Charts: "charts"}


def render(page: Page) -> str:
    """The report as one HTML file.

    It has no script, and a policy in its head forbids any, as well as loading anything from
    elsewhere. The same page always gives the same text.
    """
    environment = Environment(
        loader=PackageLoader("medfs.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = _kind
    environment.filters["draw"] = draw
    environment.filters["legend"] = legend
    environment.filters["likeness"] = _likeness
    environment.filters["picture"] = _of_card
    environment.filters["cell"] = _cell
    environment.filters["heads"] = _heads
    style = environment.get_template("style.css").render()
    return environment.get_template("page.html").render(
        page=page,
        style=Markup(style),  # noqa: S704  the package's own file
    )


def _kind(block: Block) -> str:
    return _KINDS[type(block)]


def _cell(entry: Entry) -> Cell | None:
    """Text of a table; None for small pictures."""
    if isinstance(entry, tuple):
        return None
    return Cell(entry) if isinstance(entry, str) else entry


def _heads(table: Table) -> tuple[tuple[str, bool], ...]:
    """Every head, and whether numbers stand below it."""
    cells = [_cell(entry) for entry in table.rows[0]] if table.rows else [None] * len(table.head)
    return tuple((h, bool(c and c.number)) for h, c in zip(table.head, cells, strict=True))


def _likeness(like: Likeness) -> Markup:
    return picture(like.slice, f"{like.title}, {like.label}", bare=True)


def _of_card(shown: Slice, card: Card) -> Markup:
    return picture(shown, f"{card.case}, {card.subtitle}, {shown.plane}")
