"""Words that folders and manifests share."""

LAYOUT = (
    "Arrange the scans as CASES/<class>/<case>.nii.gz, or CASES/<class>/<case>/ holding one DICOM "
    "series (masks beside them as <case>_mask.nii.gz), or give a manifest (.csv) with the columns "
    "case, image, mask, patient, label"
)
READABLE = "Readable are .nii, .nii.gz, .hdr/.img pairs, and folders holding one DICOM series"
NO_PATIENTS = "no patient column: every case is taken as a patient of its own"


def some(names: list[str], count: int = 3) -> str:
    """The first few names, and that there are more."""
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")
