"""How scans are to be read: which series, which volume of it, and what to do with a tilt."""

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from medfs.core.errors import ConfigError
from medfs.scans.option_values import ANY, RANGES, number_of, parse_value, shown


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
        component: of MR: magnitude, phase, real or imaginary. Images that do not say which they
            are pass as magnitude alone.
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
    slices: tuple[float, float] = ANY
    thickness_mm: tuple[float, float] = ANY
    series_number: str | None = None
    component: str | None = None
    prefer: tuple[str, ...] = ()
    volume: str | int | None = None
    tilt: str = "keep"
    few_slices: str = "refuse"
    suv: bool = False

    def __post_init__(self) -> None:
        for name, value in self.to_dict().items():
            object.__setattr__(self, name, parse_value(name, value))

    def excludes(self, facts: dict[str, Any]) -> str | None:
        """Why a series with these facts does not fit, or None."""
        return self._misnamed(facts) or self._mistaken(facts) or self._out_of_range(facts)

    def _misnamed(self, facts: dict[str, Any]) -> str | None:
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
        return None

    def _mistaken(self, facts: dict[str, Any]) -> str | None:
        if self.series_number not in (None, number_of(facts["series_number"])):
            return f"its number is not {self.series_number}"
        # None: images that make no volume, and do not say either.
        component = facts["component"] or ("magnitude" if facts["component"] == "" else None)
        if None not in (self.component, component) and component != self.component:
            return f"it holds {component}, not {self.component}"
        return None

    def _out_of_range(self, facts: dict[str, Any]) -> str | None:
        for name in RANGES:
            low, high = getattr(self, name)
            value = facts[name]
            if (low, high) == ANY:
                continue
            if value is None:
                return f"it does not state its {name}"
            if not low <= value <= high:
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
    if not isinstance(value, tuple):
        return value
    if name not in RANGES or len(value) != 2:
        return list(value)
    return {"min": value[0]} | ({"max": value[1]} if value[1] != float("inf") else {})


DEFAULT = ReadOptions()


def _matches(text: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(text, p.lower()) for p in patterns)


def load_options(path: Path) -> ReadOptions:
    """Rules from a YAML file; every key is an attribute of `ReadOptions`.

    Raises:
        ConfigError: not YAML, an unknown key, or a value of the wrong kind.
    """
    from medfs.storage.yaml_files import load_yaml

    content = load_yaml(path, "the rules cannot be read")
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
    unknown = [key for key in content if key not in known]
    if unknown:
        names = sorted(shown(key).strip("'\"") for key in unknown[:5])
        raise ConfigError(
            f"unknown rule(s): {', '.join(names)}",
            todo=f"Known are {', '.join(sorted(known))}",
        )
    return ReadOptions(**{key: parse_value(key, value) for key, value in content.items()})
