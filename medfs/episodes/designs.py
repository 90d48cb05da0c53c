"""The shape of an episode: ways, shots, queries, each fixed or varying within a range."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from medfs.core.errors import ConfigError, EpisodeError, UsageError

Span = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class EpisodeDesign:
    """N-way K-shot with queries. A pair (low, high) stands for a whole number drawn from it.

    Attributes:
        n_way: classes of an episode, at least 2; None for all classes of the cohort.
        n_shot: support cases of each class, at least 1. A fixed number is drawn or refused; a
            range ends where patients run out.
        n_query: query cases of each class, at least 1.
        unequal: the shots of every class are drawn on their own; needs a range.

    Raises:
        ConfigError: a value of another type, or `unequal` with a fixed number of shots.
        EpisodeError: a number below its least, or a range that holds no number.
    """

    n_way: Span | None
    n_shot: Span
    n_query: int
    unequal: bool = False

    def __post_init__(self) -> None:
        _check_types(self.n_way, self.n_shot, self.n_query, self.unequal)
        if self.n_way is not None:
            _check_range("n_way", self.n_way, least=2)
        _check_range("n_shot", self.n_shot, least=1)
        _check_range("n_query", self.n_query, least=1)
        if self.unequal and isinstance(self.n_shot, int):
            raise ConfigError(
                "unequal shots need a range to be drawn from",
                why=f"n_shot is fixed at {self.n_shot}",
                todo="Give n_shot as [low, high], or leave out unequal",
            )

    @property
    def shots(self) -> tuple[int, int]:
        """Fewest and most support cases of a class."""
        return _ends(self.n_shot)

    @property
    def varies(self) -> bool:
        """The number of shots is a range."""
        return not isinstance(self.n_shot, int)

    def ways(self, n_classes: int) -> tuple[int, int]:
        """Fewest and most classes of an episode where there are `n_classes`.

        Raises:
            EpisodeError: there are too few.
        """
        low, high = _ends(n_classes if self.n_way is None else self.n_way)
        if n_classes < max(low, 2):
            raise EpisodeError(
                f"an episode needs at least {max(low, 2)} classes, found {n_classes}",
                todo="Add labelled cases of another class, or ask for fewer ways",
            )
        return low, min(high, n_classes)


def named_design(name: str) -> EpisodeDesign:
    """A standard by its name; UsageError where there is none of that name."""
    if name not in STANDARDS:
        raise UsageError(
            f"there is no episode design called {name!r}",
            why=f"Known: {', '.join(STANDARDS)}",
            todo="Choose a known one, or give n_way, n_shot and n_query",
        )
    return STANDARDS[name]


def parse_design(content: Any) -> EpisodeDesign:
    """A design from a configuration: the name of a standard, or a mapping of its fields.

    A mapping holds `n_way` (a number, `[low, high]`, or `all`), `n_shot` (a number or
    `[low, high]`), `n_query`, and optionally `unequal`.

    Raises:
        ConfigError: an unknown name or key, a missing key, or a value of another type.
        EpisodeError: a number below its least, such as no shot or a single way.
    """
    if isinstance(content, str):
        try:
            return named_design(content)
        except UsageError as error:
            raise ConfigError(error.what, why=error.why, todo=error.todo) from error
    if not isinstance(content, Mapping):
        raise _wrong_type("an episode design", "a name or a mapping", content)
    _check_keys(content)
    n_way = None if content["n_way"] == "all" else _span(content["n_way"])
    n_shot, n_query = _span(content["n_shot"]), content["n_query"]
    unequal = content.get("unequal", False)
    _check_types(n_way, n_shot, n_query, unequal)
    return EpisodeDesign(n_way, n_shot, n_query, unequal)


def _check_keys(content: Mapping[Any, Any]) -> None:
    known = {f.name for f in fields(EpisodeDesign)}
    missing = sorted(known - {"unequal"} - set(content))
    unknown = sorted(str(key) for key in content if key not in known)
    if missing or unknown:
        raise ConfigError(
            "an episode design holds n_way, n_shot, n_query and, if wanted, unequal",
            why=f"Missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}",
            todo="Correct the keys, or give the name of a standard: " + ", ".join(STANDARDS),
        )


def _span(value: Any) -> Any:
    """YAML and JSON have lists only; whatever else it is, the design itself judges."""
    return tuple(value) if isinstance(value, list) else value


def _check_types(n_way: Any, n_shot: Any, n_query: Any, unequal: Any) -> None:
    span = "a whole number or a pair [low, high] of them"
    if not (n_way is None or _is_span(n_way)):
        raise _wrong_type("n_way", f"{span}, or all", n_way)
    if not _is_span(n_shot):
        raise _wrong_type("n_shot", span, n_shot)
    if not _is_count(n_query):
        raise _wrong_type("n_query", "a whole number", n_query)
    if type(unequal) is not bool:
        raise _wrong_type("unequal", "true or false", unequal)


def _check_range(name: str, value: Span, least: int) -> None:
    low, high = _ends(value)
    if low < least:
        raise EpisodeError(
            f"{name} must be at least {least}, found {low}",
            why="An episode needs two classes, and a support and a query case of each",
            todo=f"Ask for {name} of {least} or more",
        )
    if high < low:
        raise EpisodeError(
            f"the range of {name} holds no number",
            why=f"It goes from {low} to {high}",
            todo="Give the smaller number first",
        )


def _is_span(value: Any) -> bool:
    pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_count, value))
    return pair or _is_count(value)


def _ends(value: Span) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _is_count(value: Any) -> bool:
    return type(value) is int


def _wrong_type(name: str, needed: str, found: object) -> ConfigError:
    return ConfigError(f"{name} must be {needed}, found {found!r}")


# The two settings in which few-shot methods are compared (Vinyals et al. 2016).
STANDARDS: Mapping[str, EpisodeDesign] = {
    "5-way-1-shot": EpisodeDesign(n_way=5, n_shot=1, n_query=15),
    "5-way-5-shot": EpisodeDesign(n_way=5, n_shot=5, n_query=15),
}
