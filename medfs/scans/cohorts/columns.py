"""Which column of a manifest means what.

Names are compared without case, spaces, `-` and `_`:

========  ==========================================================================
meaning   accepted names
========  ==========================================================================
case      case, case id, scan, scan id, name, id
image     image, image path, img, scan path, Channel_0 (GaNDLF), path, file, filename
mask      mask, mask path, segmentation, seg, roi
patient   patient, patient id, subject, SubjectID (GaNDLF), participant_id (BIDS)
label     ValueToPredict (GaNDLF), label, class, diagnosis, target, category
site      site, centre, center, hospital, institution
========  ==========================================================================

GaNDLF calls the mask `Label`: beside a `ValueToPredict` column, `label` is the mask.
"""

import difflib
import re
from collections.abc import Sequence

from medfs.core.errors import CohortError

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "case": ("case", "caseid", "scan", "scanid", "name", "id"),
    "image": (
        *("image", "imagepath", "img", "imgpath", "scanpath", "channel0"),
        *("path", "filepath", "file", "filename"),
    ),
    "mask": ("mask", "maskpath", "segmentation", "segmentationpath", "seg", "roi"),
    "patient": ("patient", "patientid", "subject", "subjectid", "participantid", "participant"),
    "label": ("label", "class", "diagnosis", "target", "category"),
    "site": ("site", "centre", "center", "hospital", "institution"),
}


def find_columns(
    header: Sequence[str], *, label_column: str | None, image_column: str | None
) -> dict[str, int]:
    """Meaning → index of its column, for the meanings that the header has.

    Raises:
        CohortError: a column that was named is not there, or there is no image column.
    """
    chosen = {"image": image_column, "label": label_column}
    found = {m: _named(header, name) for m, name in chosen.items() if name is not None}
    plain = [re.sub(r"[\s_\-]+", "", name.lower()) for name in header]
    for meaning, names in _synonyms(plain).items():
        if meaning in found:
            continue
        # The order of the synonyms decides, so that the plainest name wins.
        index = next((plain.index(n) for n in names if n in plain), None)
        if index is not None and index not in found.values():
            found[meaning] = index
    if "image" not in found:
        raise CohortError(
            "the manifest has no image column",
            why=_listing(header, "image"),
            todo="Call the column with the paths of the scans 'image', or name it with the "
            "image column option",
        )
    return found


def _synonyms(plain: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if "valuetopredict" not in plain:
        return _SYNONYMS
    return _SYNONYMS | {
        "label": ("valuetopredict",),
        "mask": (*_SYNONYMS["mask"], "label"),
    }


def _named(header: Sequence[str], name: str) -> int:
    """Index of the column called `name`: exactly, or else without regard to case."""
    if name in header:
        return header.index(name)
    lower = [h.lower() for h in header]
    if lower.count(name.strip().lower()) == 1:
        return lower.index(name.strip().lower())
    raise CohortError(
        f"the manifest has no column {name!r}",
        why=_listing(header, name),
        todo="Give the name of a column of the manifest",
    )


def _listing(header: Sequence[str], name: str) -> str:
    text = f"Its columns are: {', '.join(header)}"
    near = difflib.get_close_matches(name.lower(), [h.lower() for h in header], n=2, cutoff=0.5)
    return f"{text}; close to it: {', '.join(near)}" if near else text
