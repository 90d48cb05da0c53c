"""The one signature of every few-shot method: θ = M_φ(S)."""

from typing import Protocol, runtime_checkable

from medfs.core.classifiers import Classifier
from medfs.core.episodes import SupportSet


@runtime_checkable
class Mapper(Protocol):
    """Reads a support set, returns a classifier; changes nothing.

    Laws, checked by `medfs.testing`: the order of the support does not matter, permuting the
    classes permutes the outputs, ways and shots are free, the same support gives the same bytes.
    """

    def __call__(self, support: SupportSet) -> Classifier: ...
