"""Which column of a manifest, or key of a datalist, means what.

Names are compared without case, spaces, `-` and `_`:

==========  ========================================================================
meaning     accepted names
==========  ========================================================================
case        case, case id, scan, scan id, name, id
image       image, image path, img, scan path, Channel_0 (GaNDLF), path, file, filename
mask        mask, mask path, segmentation, seg, roi
mask_label  mask label, mask segment, segment, segment label, roi label, roi name
patient     patient, patient id, subject, SubjectID (GaNDLF), participant_id (BIDS)
label       ValueToPredict (GaNDLF), label, class, diagnosis, target, category
site        site, centre, center, hospital, institution
==========  ========================================================================

Where `label` holds paths of scans, as in GaNDLF and in datalists for segmentation, it is the mask.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from medfs.core.errors import CohortError
from medfs.scans.cohorts.layout import some

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "case": ("case", "caseid", "scan", "scanid", "name", "id"),
    "image": (
        *("image", "imagepath", "img", "imgpath", "scanpath", "channel0"),
        *("path", "filepath", "file", "filename"),
    ),
    "mask": ("mask", "maskpath", "segmentation", "segmentationpath", "seg", "roi"),
    "mask_label": ("masklabel", "masksegment", "segment", "segmentlabel", "roilabel", "roiname"),
    "patient": ("patient", "patientid", "subject", "subjectid", "participantid", "participant"),
    "label": ("label", "class", "diagnosis", "target", "category"),
    "site": ("site", "centre", "center", "hospital", "institution"),
}
# Names of the class that cannot mean a mask, as `label` can.
CLASS_NAMES = frozenset(_SYNONYMS["label"]) - {"label"}


@dataclass(frozen=True, slots=True)
class Words:
    """What the parts of a source are called in messages."""

    source: str = "the manifest"
    column: str = "column"
    row: str = "row"


def plain_name(name: str) -> str:
    """The name as it is compared."""
    return re.sub(r"[\s_\-]+", "", name.lower())


def find_columns(
    header: Sequence[str],
    *,
    label_column: str | None,
    image_column: str | None,
    label_is_mask: bool = False,
    words: Words = Words(),
) -> dict[str, int]:
    """Meaning → index of its column, for the meanings that the header has.

    Args:
        header: names of the columns.
        label_column: the column of the class, if it was named.
        image_column: the column of the scan, if it was named.
        label_is_mask: whether the column called `label` holds masks.
        words: what to call the source in messages.

    Raises:
        CohortError: a column that was named is not there, there is no image column, or scans are
            spread over several.
    """
    chosen = {"image": image_column, "label": label_column}
    found = {m: _named(header, n, words) for m, n in chosen.items() if n is not None}
    plain = [plain_name(name) for name in header]
    for meaning, names in _synonyms(plain, label_is_mask).items():
        if meaning in found:
            continue
        # The order of the synonyms decides, so that the plainest name wins.
        index = next((plain.index(n) for n in names if n in plain), None)
        if index is not None and index not in found.values():
            found[meaning] = index
    if "image" not in found:
        raise CohortError(
            f"{words.source} has no image {words.column}",
            why=_listing(header, "image", words),
            todo=f"Call the {words.column} with the paths of the scans 'image', or name it with "
            "the image column option",
        )
    _refuse_channels(header, plain, found["image"])
    return found


def _synonyms(plain: Sequence[str], label_is_mask: bool) -> dict[str, tuple[str, ...]]:
    if "valuetopredict" in plain:
        labels: tuple[str, ...] = ("valuetopredict",)
    elif label_is_mask:
        labels = tuple(n for n in _SYNONYMS["label"] if n in CLASS_NAMES)
    else:
        return _SYNONYMS
    return _SYNONYMS | {"label": labels, "mask": (*_SYNONYMS["mask"], "label")}


def _refuse_channels(header: Sequence[str], plain: Sequence[str], image: int) -> None:
    channels = [h for h, p in zip(header, plain, strict=True) if re.fullmatch(r"channel\d+", p)]
    if len(channels) > 1 and plain[image] == "channel0":
        raise CohortError(
            "the cases have several channels, and one scan per case is read",
            why=f"The columns are {some(channels, 8)}",
            todo="Name the one to use with the image column option",
        )


def _named(header: Sequence[str], name: str, words: Words) -> int:
    """Index of the column called `name`: exactly, or else without regard to case."""
    if name in header:
        return header.index(name)
    lower = [h.lower() for h in header]
    if lower.count(name.strip().lower()) == 1:
        return lower.index(name.strip().lower())
    raise CohortError(
        f"{words.source} has no {words.column} {name!r}",
        why=_listing(header, name, words),
        todo=f"Give the name of a {words.column} of {words.source}",
    )


def _listing(header: Sequence[str], name: str, words: Words) -> str:
    text = f"Its {words.column}s are: {some(header, 50)}"
    plain = [h.lower() for h in header[:1000]]
    near = difflib.get_close_matches(name.lower(), plain, n=2, cutoff=0.5)
    return f"{text}; close to it: {some(near)}" if near else text
