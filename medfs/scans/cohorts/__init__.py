"""Folders and manifests to `Cohort`. No scan is read here."""

from pathlib import Path

from medfs.core.cases import Cohort
from medfs.core.errors import CohortError
from medfs.scans.cohorts.folders import class_folders, plain_folder, single_scan
from medfs.scans.cohorts.layout import LAYOUT
from medfs.scans.cohorts.manifests import read_manifest
from medfs.scans.names import holds_dicom, is_manifest


def load_cohort(
    path: Path,
    *,
    label_column: str | None = None,
    image_column: str | None = None,
    labelled: bool = True,
) -> Cohort:
    """The cases of a folder or a manifest, sorted by class and name, or in the manifest's order.

    Labelled: a folder per class (`CASES/<class>/<case>.nii.gz` or `CASES/<class>/<case>/` holding
    one DICOM series, masks beside them as `<case>_mask.nii.gz`), or a manifest.

    Not labelled: one scan file, one DICOM series folder, a folder of cases, or a manifest whose
    labels are not read.

    Args:
        path: the folder, manifest (`.csv`, `.tsv`) or scan.
        label_column: column of a manifest that holds the class, if not found by its name.
        image_column: column of a manifest that holds the scan, if not found by its name.
        labelled: whether every case must have a class.

    Raises:
        CohortError: the layout or the manifest cannot be understood, or holds no cases.
    """
    if not path.exists():
        raise CohortError(
            "there is no such folder or manifest",
            case=str(path),
            todo="Check the path, and that the disk or share is connected",
        )
    if path.is_file() and is_manifest(path):
        return read_manifest(
            path, label_column=label_column, image_column=image_column, labelled=labelled
        )
    if label_column or image_column:
        raise CohortError(
            "columns can only be named for a manifest",
            case=str(path),
            todo="Give a .csv or .tsv file, or leave the column names out",
        )
    if labelled:
        if path.is_file():
            raise CohortError("a single file has no classes", case=path.name, todo=LAYOUT)
        return class_folders(path)
    return single_scan(path) if path.is_file() or holds_dicom(path) else plain_folder(path)
