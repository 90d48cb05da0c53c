"""A case of the support, found again."""

from dataclasses import dataclass

from medfs.core.cases import Case
from medfs.workflows.sources import FileSource


@dataclass(frozen=True)
class Matched:
    """A support case and the ordinal by which its model knows it."""

    ordinal: str
    source: FileSource
    notes: tuple[str, ...]

    @property
    def case(self) -> Case:
        return self.source.case
