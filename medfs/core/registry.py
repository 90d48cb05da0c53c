"""Extension points: names that resolve to import strings, loaded on first use.

Built-in entries are listed in `medfs.workflows.registries`; where a registry has a group, other
packages add theirs through Python entry points of that group. Listing imports nothing, so that a
package that is broken breaks nothing but its own use.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from medfs.core.errors import MissingExtraError, PluginError, UsageError

OWN = "medfs"


@dataclass(frozen=True)
class Entry:
    """One name of a registry.

    Attributes:
        name: by which users know it.
        target: `module:attribute`.
        summary: one line; empty for what other packages bring.
        provider: the distribution that brings it.
        version: of that distribution; empty for what medfs brings.
    """

    name: str
    target: str
    summary: str
    provider: str
    version: str = ""

    @property
    def origin(self) -> str:
        """Provider and version."""
        return f"{self.provider} {self.version}".strip()


class Registry:
    """A named family of components, e.g. all mappers.

    Args:
        kind: singular noun for messages, e.g. `mapper`.
        group: entry-point group that other packages use; None if only medfs brings such things.
        builtin: name → (import string `module:attribute`, one-line summary).
    """

    def __init__(
        self, kind: str, group: str | None, builtin: Mapping[str, tuple[str, str]]
    ) -> None:
        self.kind, self.group, self._builtin = kind, group, builtin

    def entries(self) -> dict[str, Entry]:
        """By name; what medfs brings comes before what others bring under the same name."""
        found = {n: Entry(n, t, s, OWN) for n, (t, s) in self._builtin.items()}
        for entry in self._of_others():
            found.setdefault(entry.name, entry)
        return dict(sorted(found.items()))

    def shadowed(self) -> tuple[Entry, ...]:
        """What cannot be reached, since its name is taken."""
        known = self.entries()
        return tuple(e for e in self._of_others() if known[e.name] != e)

    def packages(self, names: Iterable[str]) -> dict[str, str]:
        """Versions of the packages beside medfs that bring these names."""
        known = self.entries()
        found = (known[name] for name in names if name in known)
        return {e.provider: e.version for e in found if e.provider != OWN}

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
        """Import and return what `name` stands for.

        Raises:
            UsageError: there is no such name.
            MissingExtraError: it needs a package that is not here.
            PluginError: the package that brings it is broken.
        """
        entry = self.check(name)
        module, _, attribute = entry.target.partition(":")
        try:
            found: Any = import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
        except ImportError as error:
            raise MissingExtraError(
                f"the {self.kind} {name!r} cannot be loaded",
                why=f"{entry.origin} needs a package that is not here: {error}",
                todo="Install the extra or package that its documentation names",
            ) from error
        except Exception as error:
            if entry.provider == OWN:
                raise
            raise PluginError(
                f"the {self.kind} {name!r} cannot be loaded",
                why=f"Importing {entry.target} of {entry.origin} fails: "
                f"{type(error).__name__}: {error}",
                todo=f"Ask the authors of {entry.provider}, or uninstall it; medfs works without",
            ) from error
        return found

    def _of_others(self) -> tuple[Entry, ...]:
        """In an order that does not depend on the disk."""
        if self.group is None:
            return ()
        found = set()
        for point in entry_points(group=self.group):
            name, version = (point.dist.name, point.dist.version) if point.dist else ("unknown", "")
            found.add(Entry(point.name, point.value, "", name, version))
        return tuple(sorted(found, key=lambda e: (e.name, e.provider, e.target)))
