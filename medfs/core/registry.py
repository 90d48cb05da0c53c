"""Extension points: names that resolve to import strings, loaded on first use.

Built-in entries are listed in `medfs.workflows.registries`; other packages add theirs through
Python entry points of the same group (`medfs.mappers`, `medfs.backbones`). Listing imports nothing.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medfs.core.errors import MissingExtraError, UsageError


@dataclass(frozen=True)
class Entry:
    """One name of a registry. `provider` is the distribution that brings it."""

    name: str
    target: str
    summary: str
    provider: str


class Registry:
    """A named family of components, e.g. all mappers.

    Args:
        kind: singular noun for messages, e.g. `mapper`.
        group: entry-point group that other packages use.
        builtin: name → (import string `module:attribute`, one-line summary).
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, tuple[str, str]]) -> None:
        self.kind, self.group, self._builtin = kind, group, builtin

    def entries(self) -> dict[str, Entry]:
        found = {n: Entry(n, t, s, "medfs") for n, (t, s) in self._builtin.items()}
        for point in entry_points(group=self.group):
            provider = point.dist.name if point.dist else "unknown"
            found.setdefault(point.name, Entry(point.name, point.value, "", provider))
        return dict(sorted(found.items()))

    def check(self, name: str) -> Entry:
        """The entry called `name`; UsageError with the nearest names otherwise."""
        entries = self.entries()
        if name in entries:
            return entries[name]
        near = difflib.get_close_matches(name, entries, n=1)
        raise UsageError(
            f"there is no {self.kind} called {name!r}",
            why=f"Known: {', '.join(entries)}",
            todo=f"Did you mean {near[0]!r}?" if near else f"Choose a known {self.kind}",
        )

    def load(self, name: str) -> Any:
        """Import and return what `name` stands for."""
        entry = self.check(name)
        module, _, attribute = entry.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except ImportError as error:
            raise MissingExtraError(
                f"the {self.kind} {name!r} cannot be loaded",
                why=f"{entry.provider} needs a package that is not here: {error}",
                todo="Install the extra or package that its documentation names",
            ) from error
