"""The digest of a scan decides what the cache returns and which images are the same."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from medfs.core.cases import Case
from medfs.core.errors import ScanReadError
from medfs.core.volumes import Provenance, Volume
from medfs.workflows.sources import ArraySource, FileSource


def source(image, mask=None, **options):
    return FileSource(Case("a", "a", image, mask), **options)


def test_pairs_differ_by_their_voxels(tmp_path):
    """Two .hdr/.img pairs of one scanner have the same header."""
    digests = set()
    for name, value in (("a", 1), ("b", 2)):
        image = nibabel.Nifti1Pair(np.full((4, 4, 4), value, np.int16), np.eye(4))
        nibabel.save(image, tmp_path / f"{name}.img")
        digests.add(source(tmp_path / f"{name}.hdr").digest())
    assert (tmp_path / "a.hdr").read_bytes() == (tmp_path / "b.hdr").read_bytes()
    assert len(digests) == 2


def test_the_mask_counts_only_where_it_is_used(simulated):
    image, mask, other = simulated.images[0], simulated.masks[0], simulated.masks[1]
    assert source(image, mask).digest() != source(image, other).digest()
    assert source(image, mask).digest().image == source(image, other).digest().image
    assert source(image, mask, use_mask=False).digest() == source(image).digest()


def test_names_do_not_count(simulated, tmp_path):
    copy = tmp_path / "other name.nii.gz"
    copy.write_bytes(simulated.images[0].read_bytes())
    assert source(copy).digest() == source(simulated.images[0]).digest()


def test_a_folder_counts_all_its_files(tmp_path):
    (tmp_path / "1.dcm").write_bytes(b"one")
    before = source(tmp_path).digest()
    (tmp_path / "2.dcm").write_bytes(b"two")
    assert source(tmp_path).digest() != before


def test_a_missing_file_is_a_user_error(tmp_path):
    with pytest.raises(ScanReadError, match=r"lost\.nii"):
        source(tmp_path / "lost.nii").digest()


@pytest.mark.parametrize("change", ["voxels", "type", "affine", "mask"])
def test_everything_about_an_array_counts(change):
    voxels, affine, mask = np.zeros((1, 4, 4, 4), np.int16), np.eye(4), np.ones((4, 4, 4), bool)

    def digest():
        provenance = Provenance("array", (), "")
        volume = Volume(voxels, affine, None, "arbitrary", provenance)
        return ArraySource(Case("a", "a", Path("a")), volume, mask).digest()

    before = digest()
    if change == "voxels":
        voxels = voxels + np.int16(1)
    elif change == "type":
        voxels = voxels.view(np.uint16)
    elif change == "affine":
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
    else:
        mask = np.zeros((4, 4, 4), bool)
    assert digest() != before
