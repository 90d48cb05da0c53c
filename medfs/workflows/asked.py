"""How a user wants cases to be found and read: the same for every command."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from medfs.core.cases import Cohort
from medfs.scans.cohorts import load_cohort
from medfs.scans.options import DEFAULT, ReadOptions


@dataclass(frozen=True)
class Asked:
    """Answers to what a folder or list leaves open; None where it should tell by itself.

    Attributes:
        label_column, image_column: of a manifest or datalist.
        mask_label: name or number of the region, in masks that hold several.
        section: of a datalist.
        bids_suffix: kind of scan of a BIDS data set.
        reading: rules for DICOM series.
    """

    label_column: str | None = None
    image_column: str | None = None
    mask_label: str | None = None
    section: str | None = None
    bids_suffix: str | None = None
    reading: ReadOptions = DEFAULT

    def or_else(self, other: "Asked") -> "Asked":
        """The same, with what is left open as in `other`."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        open_ = {f.name for f in fields(self) if own[f.name] == f.default}
        return replace(self, **{name: getattr(other, name) for name in open_})

    def cohort(self, path: Path, *, labelled: bool = True) -> Cohort:
        """The cases of `path`.

        Raises:
            CohortError: they cannot be understood.
        """
        return load_cohort(
            path,
            label_column=self.label_column,
            image_column=self.image_column,
            labelled=labelled,
            mask_label=self.mask_label,
            section=self.section,
            bids_suffix=self.bids_suffix,
        )


ASKED_NOTHING = Asked()
