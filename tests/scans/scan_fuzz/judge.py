"""What reading a mutant came to: refused with reasons, a volume that is right, or a finding."""

import logging
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medfs.core.errors import UserError
from medfs.core.volumes import Volume
from medfs.scans import read_mask, read_volume
from scan_fuzz.mutants import Mutant
from scan_fuzz.references import disagreement

# Allowed, from most to least that is known of the volume.
REFUSED, RIGHT, SOUND = "refused", "right", "sound"
FINDINGS = ("unexpected", "unhelpful", "unprintable", "wrong", "memory", "timeout", "crash")


@dataclass(frozen=True)
class Outcome:
    """`kind` is one of the words above; `detail` says what was refused or is wrong."""

    kind: str
    detail: str

    @property
    def is_finding(self) -> bool:
        return self.kind in FINDINGS


def write(mutant: Mutant, folder: Path) -> None:
    for name, content in mutant.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def judge(mutant: Mutant, folder: Path) -> Outcome:
    """Read the mutant, which `write` left in `folder`."""
    try:
        volume = read_volume(folder / mutant.seed.target)
        mask = read_mask(folder / mutant.seed.mask, volume) if mutant.seed.mask else None
    except UserError as error:
        return _of_refusal(error)
    except Exception:
        return Outcome("unexpected", "".join(traceback.format_exc().splitlines(True)[-6:]))
    wrong = _unsound(volume, mask)
    if wrong:
        return Outcome("wrong", wrong)
    known, wrong = _held_against_references(mutant, folder, volume)
    if wrong:
        return Outcome("wrong", wrong)
    return Outcome(RIGHT if known else SOUND, "")


def _held_against_references(mutant: Mutant, folder: Path, volume: Volume) -> tuple[bool, str]:
    logging.disable(logging.CRITICAL)  # nibabel tells of codes that it does not know
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return disagreement(mutant, folder, volume)
    finally:
        logging.disable(logging.NOTSET)


def _of_refusal(error: UserError) -> Outcome:
    text = str(error)
    if "more memory than this machine has" in text:
        return Outcome("memory", text)
    if not (error.what and error.why and error.todo):
        return Outcome("unhelpful", f"{error.what} | why: {error.why} | todo: {error.todo}")
    if not text.replace("\n", "").isprintable():  # what a header holds may steer a terminal
        return Outcome("unprintable", ascii(text))
    return Outcome(REFUSED, error.what)


def _unsound(volume: Volume, mask: np.ndarray | None) -> str:
    if volume.voxels.ndim != 4 or not volume.voxels.size:
        return f"a volume of shape {volume.voxels.shape}"
    if not np.isfinite(volume.affine).all() or min(volume.spacing) <= 0:
        return f"an affine that places nothing: {volume.affine.tolist()}"
    if not np.isfinite(volume.voxels.astype(float)).all():
        return "voxels that are no numbers"
    if mask is None:
        return ""
    if mask.shape != volume.voxels.shape[1:] or mask.dtype != bool or not mask.any():
        return f"a mask of shape {mask.shape}, {mask.dtype}, {int(mask.sum())} voxels"
    return ""
