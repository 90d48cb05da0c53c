"""Siemens mosaics: all slices of a volume tiled in one image.

The image position is that of the whole mosaic, as if it were one slice of its size; the number of
tiles and the direction of the stack stand in Siemens' own CSA header, which nibabel reads. Its
documentation (https://nipy.org/nibabel/dicom/dicom_mosaic.html) derives the formula used here.
"""

from typing import Any

import numpy as np

from medfs.core.errors import GeometryError
from medfs.scans.dicom.frames import Frame, single_frame
from medfs.scans.dicom.headers import Header, read_dataset
from medfs.scans.guards import reading

_CONVERT = "Export the series without mosaics (one image per slice), or give it as NIfTI"


def mosaic_frames(header: Header) -> list[Frame]:
    """The tiles as planes, in the order of the mosaic.

    Raises:
        GeometryError: the CSA header is missing or contradicts the image.
    """
    whole = single_frame(header)
    with reading(header.name):
        count, normal = _read_csa(header)
    side = int(np.ceil(np.sqrt(count)))
    spacing = header.number("SpacingBetweenSlices")
    if (
        whole.position is None
        or whole.orientation is None
        or whole.pixel_spacing is None
        or spacing is None
        or not 0 < spacing < 1000
        or whole.rows % side
        or whole.columns % side
    ):
        raise GeometryError(
            "a mosaic does not say where its slices lie",
            why=f"{header.name} has {whole.rows} × {whole.columns} pixels for {count} tiles, and "
            f"SpacingBetweenSlices {spacing}",
            todo=_CONVERT,
        )
    rows, columns = whole.rows // side, whole.columns // side
    row, column = whole.orientation[:3], whole.orientation[3:]
    cross = np.cross(row, column)
    if abs(abs(float(cross @ normal)) - 1) > 1e-2:
        raise GeometryError(
            "the slices of a mosaic are not perpendicular to its normal",
            why=f"{header.name}: SliceNormalVector is {normal.tolist()}",
            todo=_CONVERT,
        )
    corner = (
        whole.position
        + row * whole.pixel_spacing[1] * (whole.columns - columns) / 2
        + column * whole.pixel_spacing[0] * (whole.rows - rows) / 2
    )
    step = np.sign(cross @ normal) * cross / np.linalg.norm(cross) * spacing
    return [
        Frame(
            header=header,
            index=0,
            rows=rows,
            columns=columns,
            position=corner + tile * step,
            orientation=whole.orientation,
            pixel_spacing=whole.pixel_spacing,
            slope=whole.slope,
            intercept=whole.intercept,
            unit=whole.unit,
            keys=whole.keys,
            times=whole.times,
            tile=tile,
            thickness=whole.thickness,
        )
        for tile in range(count)
    ]


def _read_csa(header: Header) -> tuple[int, Any]:
    from nibabel.nicom import csareader

    dataset = read_dataset(header.file, stop_before_pixels=True)
    try:
        csa = csareader.get_csa_header(dataset)
        count = csareader.get_n_mosaic(csa) if csa else None
        normal = csareader.get_slice_normal(csa) if csa else None
    except Exception as error:  # private bytes of any kind
        raise GeometryError(
            "the Siemens header of a mosaic is damaged",
            why=f"{header.name}: {error}",
            todo=_CONVERT,
        ) from error
    if not count or normal is None or not np.isfinite(normal).all():
        raise GeometryError(
            "a mosaic does not say how many slices it holds",
            why=f"{header.name} has no Siemens CSA header (it may have been anonymised away)",
            todo=_CONVERT,
        )
    return int(count), np.asarray(normal, dtype=float)
