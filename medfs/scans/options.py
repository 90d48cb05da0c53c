"""How scans are to be read: which series, which volume of it, and what to do with a tilt."""

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
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
_RANGES = ("slices", "thickness_mm")
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "suv": (True, False),
    "tilt": TILTS,
    "few_slices": ("refuse", "keep"),
    "component": (*COMPONENTS, None),
}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Rules for reading DICOM; the defaults refuse whatever is not clear.

    Attributes:
        modality: one of these (`CT`, `MR`, `PT`).
        description: SeriesDescription matches one of these patterns (`*lung*`), whatever the case.
        not_description: and none of these.
        image_type: all of these values are among ImageType's.
        not_image_type: and none of these.
        slices: fewest and most slices.
        thickness_mm: smallest and largest SliceThickness.
        series_number: this SeriesNumber.
        component: of MR: magnitude, phase, real or imaginary.
        prefer: what decides between several that fit, in this order (`PREFERENCES`).
        volume: of a 4D series: `first`, `mean`, or an index from 0; None refuses it.
        tilt: what to do with a tilted gantry: `keep` the sheared grid and its voxels, `correct` it
            by resampling to right angles, or `refuse`.
        few_slices: `keep` reads one or two slices too, with the distance that a header states or
            that the two have: nothing shows whether slices are missing between them.
        suv: PET as standardised uptake values by body weight (g/ml) instead of stored units.
    """

    modality: tuple[str, ...] = ()
    description: tuple[str, ...] = ()
    not_description: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    not_image_type: tuple[str, ...] = ()
    slices: tuple[float, float] = (0, float("inf"))
    thickness_mm: tuple[float, float] = (0, float("inf"))
    series_number: str | None = None
    component: str | None = None
    prefer: tuple[str, ...] = ()
    volume: str | int | None = None
    tilt: str = "keep"
    few_slices: str = "refuse"
    suv: bool = False

    def excludes(self, facts: dict[str, Any]) -> str | None:
        """Why a series with these facts does not fit, or None."""
        description = str(facts["description"]).lower()
        types = set(facts["image_type"])
        if self.modality and facts["modality"] not in self.modality:
            return f"its modality is none of {', '.join(self.modality)}"
        if self.description and not _matches(description, self.description):
            return f"its description matches none of {', '.join(self.description)}"
        if _matches(description, self.not_description):
            return f"its description matches one of {', '.join(self.not_description)}"
        if not types.issuperset(self.image_type):
            return f"its ImageType lacks one of {', '.join(self.image_type)}"
        if types.intersection(self.not_image_type):
            return f"its ImageType has one of {', '.join(self.not_image_type)}"
        if self.series_number is not None and facts["series_number"] != self.series_number:
            return f"its number is not {self.series_number}"
        if self.component is not None and facts["component"] not in (self.component, ""):
            return f"it holds {facts['component']}, not {self.component}"
        return self._out_of_range(facts)

    def _out_of_range(self, facts: dict[str, Any]) -> str | None:
        for name in _RANGES:
            low, high = getattr(self, name)
            value = facts[name]
            if value is None and (low > 0 or high < float("inf")):
                return f"it does not state its {name}"
            if value is not None and not low <= value <= high:
                return f"its {name} of {value:g} is not within {low:g} and {high:g}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """What differs from the defaults, as plain data for `parse_options`."""
        changed = {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if getattr(self, f.name) != f.default
        }
        return {name: _plain(name, value) for name, value in changed.items()}


def _plain(name: str, value: Any) -> Any:
    if name not in _RANGES:
        return list(value) if isinstance(value, tuple) else value
    low, high = value
    return {"min": low} | ({"max": high} if high < float("inf") else {})


DEFAULT = ReadOptions()


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, p.lower()) for p in patterns)


def load_options(path: Path) -> ReadOptions:
    """Rules from a YAML file; every key is an attribute of `ReadOptions`.

    Raises:
        ConfigError: not YAML, an unknown key, or a value of the wrong kind.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError("the rules cannot be read", case=path.name, why=str(error)) from error
    try:
        return parse_options({} if content is None else content)
    except ConfigError as error:
        raise error.about(path.name) from error


def parse_options(content: Any) -> ReadOptions:
    """Rules from plain data, checked strictly.

    Raises:
        ConfigError: an unknown key, or a value of the wrong kind.
    """
    if not isinstance(content, dict):
        raise ConfigError("rules are keys with values", why=f"Found {type(content).__name__}")
    known = {f.name for f in fields(ReadOptions)}
    unknown = sorted(set(map(str, content)) - known)
    if unknown:
        raise ConfigError(
            f"unknown rule(s): {', '.join(unknown)}", todo=f"Known are {', '.join(sorted(known))}"
        )
    return ReadOptions(**{key: _parse(key, value) for key, value in content.items()})


def _parse(key: str, value: Any) -> Any:
    if key in _TEXTS:
        texts = _list_of_texts(key, value)
        return texts if "description" in key else tuple(t.upper() for t in texts)
    if key in _RANGES:
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
        return None if value is None else str(value)
    return _one_of(key, value, _ALLOWED[key])


def _list_of_texts(key: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) and v for v in values):
        raise ConfigError(f"{key} must be a text or a list of texts", why=f"It is {value!r}")
    return tuple(values)


def _range(key: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, dict) or not value or not set(value) <= {"min", "max"}:
        raise ConfigError(f"{key} has min, max, or both", why=f"It is {value!r}")
    numbers = (value.get("min", 0), value.get("max", float("inf")))
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise ConfigError(f"{key} must hold numbers that are not negative", why=f"It is {value!r}")
    return float(numbers[0]), float(numbers[1])


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if not any(value is a or (isinstance(a, str) and value == a) for a in allowed):
        raise ConfigError(
            f"{key} cannot be {value!r}", todo=f"Possible are {', '.join(map(str, allowed))}"
        )
    return value
