"""Presets: how a scan of one kind becomes a patch. Parsed strictly; unknown keys are errors."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from medfs.core.errors import ConfigError
from medfs.storage.configs import read_config
from medfs.storage.files import sha256, to_json

IntensityKind = Literal["window", "zscore", "percentile"]
RegionKind = Literal["otsu", "half-maximum", "whole", "learned"]
KINDS = ("ct", "mr", "pet", "shape")
# No intensity or length is larger; not a number and infinity are not either.
_LARGEST = 1e9


@dataclass(frozen=True)
class Intensity:
    """How voxel values are normalised.

    `window`: [low, high] in the scan's unit to [−1, 1], clipped. `zscore`: mean 0 and standard
    deviation 1 over the scan's voxels above its minimum, clipped at ±`clip`. `percentile`: the
    scan's percentiles `low` and `high` to [0, 1], clipped.
    """

    kind: IntensityKind
    low: float = 0.0
    high: float = 0.0
    clip: float = 0.0


@dataclass(frozen=True)
class Preset:
    """What turns a volume into a patch.

    Attributes:
        spacing_mm: grid spacing along x, y, z; enlarged for a case whose region does not fit.
        shape: grid points along x, y, z.
        margin_mm: kept free around the region on every side.
        region: how a region is found where there is no mask; `learned` also within a field of view,
            all of which is the region otherwise.
        kinds: kinds of scan it is for: `ct`, `mr`, `pet`, `shape`.
    """

    name: str
    summary: str
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    margin_mm: float
    intensity: Intensity
    region: RegionKind
    kinds: tuple[str, ...]

    @property
    def identity(self) -> str:
        """Changes whenever the preset would make another patch."""
        return f"{self.name}-{sha256(to_json(asdict(self)).encode())[:12]}"

    @property
    def knows_the_finding(self) -> bool:
        """Whether the region that stands in for a mask is the finding, as far as can be known: a
        shape as such, or what a network that was trained to find it says."""
        return self.region in ("half-maximum", "learned")

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        lists = {key: list(values[key]) for key in ("spacing_mm", "shape", "kinds")}
        return {**values, **lists}


def load_preset(name: str) -> Preset:
    """A shipped preset by name, or one from a YAML file.

    Raises:
        UsageError: no such preset.
        ConfigError: a key is missing, unknown, or of the wrong type.
    """
    return parse_preset({**read_config("presets", name), "name": Path(name).stem})


def parse_preset(content: dict[str, Any]) -> Preset:
    """A preset from plain data, as `Preset.to_dict` writes it; ConfigError if it does not fit."""
    name = str(content.get("name", "preset"))
    try:
        raw = dict(content["intensity"])
        numbers = {key: _number(value) for key, value in raw.items() if key != "kind"}
        intensity = Intensity(kind=raw["kind"], **numbers)
        preset = Preset(
            **{
                **content,
                "name": _text(content["name"]),
                "summary": _text(content["summary"]),
                "intensity": intensity,
                "spacing_mm": _three(content["spacing_mm"], _number),
                "shape": _three(content["shape"], _integer),
                "margin_mm": _number(content["margin_mm"]),
                "kinds": tuple(_text(kind) for kind in _list(content["kinds"])),
            }
        )
    except KeyError as error:
        raise ConfigError(f"key {error} is missing", case=f"preset {name}") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            "does not fit the schema", case=f"preset {name}", why=str(error)
        ) from error
    _check(preset)
    return preset


def _three(values: Any, kind: Callable[[Any], Any]) -> Any:
    if len(_list(values)) != 3:
        raise ValueError(f"expected three numbers, found {values!r}")
    return tuple(kind(v) for v in values)


def _list(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list, found {value!r}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a text, found {value!r}")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, found {value!r}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _LARGEST:
        raise ValueError(f"expected a number, found {value!r}")
    return float(value)


def _check(preset: Preset) -> None:
    intensity = preset.intensity
    problems = [
        (intensity.kind not in get_args(IntensityKind), f"intensity kind {intensity.kind!r}"),
        (preset.region not in get_args(RegionKind), f"region kind {preset.region!r}"),
        (not preset.kinds or not set(preset.kinds) <= set(KINDS), f"kinds {preset.kinds}"),
        (min(preset.spacing_mm) <= 0, "spacing_mm must be positive"),
        (not all(4 <= n <= 512 for n in preset.shape), "shape must be within 4 and 512"),
        (preset.margin_mm < 0, "margin_mm must not be negative"),
        (
            intensity.kind in ("window", "percentile") and intensity.high <= intensity.low,
            "intensity high must exceed low",
        ),
        (intensity.kind == "zscore" and intensity.clip <= 0, "intensity clip must be positive"),
    ]
    if found := [text for bad, text in problems if bad]:
        raise ConfigError("does not fit the schema", case=f"preset {preset.name}", why=found[0])
