"""SVG elements as safe markup: every text and every attribute is escaped."""

from markupsafe import Markup, escape


def element(name: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """`<name …>children</name>`; attributes that are None are left out.

    Underscores in names of attributes become hyphens, a trailing one is dropped (`class_`), and
    numbers get at most two decimals.
    """
    given = {k: v for k, v in attributes.items() if v is not None}
    told = Markup("").join(Markup(' {}="{}"').format(_name(k), _text(v)) for k, v in given.items())
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), told, inside)  # noqa: S704  own names


def number(value: float) -> str:
    """At most two decimals, no minus zero: the same number is always the same text."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-") if key != "viewBox" else key


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else number(value)
