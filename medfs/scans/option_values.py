"""The values that rules for reading may take, each parsed strictly."""

from math import isfinite
from reprlib import Repr
from typing import Any

from medfs.core.errors import ConfigError

TILTS = ("keep", "correct", "refuse")
COMPONENTS = ("magnitude", "phase", "real", "imaginary")
PREFERENCES = (
    "thinnest",
    "thickest",
    "most-slices",
    "fewest-slices",
    "lowest-number",
    "highest-number",
)
_TEXTS = ("modality", "description", "not_description", "image_type", "not_image_type")
RANGES = ("slices", "thickness_mm")
ANY = (0, float("inf"))
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "suv": (True, False),
    "tilt": TILTS,
    "few_slices": ("refuse", "keep"),
    "component": (*COMPONENTS, None),
}


def parse_value(key: str, value: Any) -> Any:
    """The value of a rule, from plain data.

    Raises:
        ConfigError: of the wrong kind, not finite, or none of those that are possible.
    """
    if key in _TEXTS:
        texts = _list_of_texts(key, value)
        return texts if "description" in key else tuple(t.upper() for t in texts)
    if key in RANGES:
        return _range(key, value)
    if key == "prefer":
        chosen = _list_of_texts(key, value)
        for one in chosen:
            _one_of(key, one, PREFERENCES)
        return chosen
    if key == "volume":
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        return None if value is None else _one_of(key, value, ("first", "mean"))
    if key == "series_number":
        return _series_number(value)
    return _one_of(key, value, _ALLOWED[key])


def _series_number(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip():
        return number_of(value)
    # PS3.5 6.2: an integer string fits 32 bits.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31:
        return str(value)
    raise ConfigError("series_number must be a number", why=f"It is {shown(value)}")


def number_of(text: str) -> str:
    """`7` for `007` and `+7` (PS3.5 6.2, IS); other texts as they are."""
    try:
        return str(int(text))
    except ValueError:
        return text.strip()


def _list_of_texts(key: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise ConfigError(f"{key} must be a text or a list of texts", why=f"It is {shown(value)}")
    return tuple(values)


def _range(key: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, dict) or not value or not set(value) <= {"min", "max"}:
        raise ConfigError(f"{key} has min, max, or both", why=f"It is {shown(value)}")
    if not all(_is_measure(n) for n in value.values()):
        raise ConfigError(
            f"{key} must hold finite numbers that are not negative", why=f"It is {shown(value)}"
        )
    low, high = float(value.get("min", 0)), float(value.get("max", float("inf")))
    if low > high:
        raise ConfigError(
            f"{key} leaves nothing: its min is above its max",
            why=f"It is {shown(value)}",
            todo="Exchange the two",
        )
    return low, high


def _is_measure(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return isfinite(value) and value >= 0
    except OverflowError:  # an integer of hundreds of digits
        return False


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if not any(value is a or (isinstance(a, str) and value == a) for a in allowed):
        raise ConfigError(
            f"{key} cannot be {shown(value)}", todo=f"Possible are {', '.join(map(str, allowed))}"
        )
    return value


def shown(value: Any) -> str:
    """A value for a message, abridged: rules may come from anywhere."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    try:
        return short.repr(value)
    except ValueError:  # Python writes no integer of thousands of digits
        return f"an overlong {type(value).__name__}"
