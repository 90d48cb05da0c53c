"""A simulated cohort on disk, a model made from it, and the command line run in this process."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from medfs.cli.main import main
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import SimulatedCase, simulate_cohort

PER_CLASS, HELD_OUT = 4, 3


@dataclass(frozen=True)
class Outcome:
    """What one run of the command line left behind."""

    code: int
    out: str
    err: str


Medfs = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """One cache for the whole session, so that every scan is encoded once."""
    folder = tmp_path_factory.getbasetemp() / "feature-cache"
    monkeypatch.setenv("MEDFS_CACHE", str(folder))
    return folder


@pytest.fixture
def medfs(monkeypatch, capsys) -> Medfs:
    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["medfs", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        assert "stumbled" not in shown.err, shown.err
        return Outcome(int(stop.value.code or 0), shown.out, shown.err)

    return run


def write_case(folder: Path, name: str, case: SimulatedCase, *, mask: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{name}.nii.gz"
    write_nifti(image, case.voxels, case.affine, "int16")
    if mask:
        write_nifti(folder / f"{name}_mask.nii.gz", case.mask, case.affine, "uint8")
    return image


@pytest.fixture(scope="session")
def put_case() -> Callable[..., Path]:
    """`write_case`, for tests with cohorts of their own."""
    return write_case


@pytest.fixture(scope="session")
def simulated() -> list[SimulatedCase]:
    """Smooth and spiculated in turn; every case is a patient of its own."""
    return list(islice(simulate_cohort(PER_CLASS + HELD_OUT, 0), 2 * PER_CLASS + HELD_OUT))


@pytest.fixture(scope="session")
def support_made(tmp_path_factory, simulated) -> Path:
    root = tmp_path_factory.mktemp("support") / "cases"
    for i, case in enumerate(simulated[: 2 * PER_CLASS]):
        write_case(root / case.label, f"MUELLER_ANNA_{i}", case)
    return root


@pytest.fixture(scope="session")
def scans_made(tmp_path_factory, simulated) -> Path:
    folder = tmp_path_factory.mktemp("held-out") / "scans"
    for i, case in enumerate(simulated[2 * PER_CLASS :]):
        write_case(folder, f"scan-{i}", case)
    return folder


@pytest.fixture
def support(support_made, tmp_path) -> Path:
    """A folder per class that a test may spoil."""
    return Path(shutil.copytree(support_made, tmp_path / "cases"))


@pytest.fixture
def scans(scans_made, tmp_path) -> Path:
    """Held-out scans that a test may spoil."""
    return Path(shutil.copytree(scans_made, tmp_path / "scans"))


@pytest.fixture(scope="session")
def model_made(tmp_path_factory, support_made) -> Path:
    from medfs.workflows.adapt import AdaptRequest, adapt

    out = tmp_path_factory.mktemp("model") / "model"
    adapt(AdaptRequest(support_made, out, use_cache=False))
    return out


@pytest.fixture
def model(model_made, tmp_path) -> Path:
    """A model folder that a test may spoil."""
    return Path(shutil.copytree(model_made, tmp_path / "model"))


@pytest.fixture
def out(tmp_path) -> Path:
    """A place for output in a folder that must hold nothing else."""
    (tmp_path / "output").mkdir()
    return tmp_path / "output" / "result"


@pytest.fixture
def refused(medfs, out) -> Iterator[Callable[..., str]]:
    """Run a command that must fail with a code, and leave nothing at `out` or beside it."""

    def run(code: int, *arguments: object) -> str:
        done = medfs(*arguments, "--out", out)
        assert done.code == code, done.err
        assert done.out == ""
        assert list(out.parent.iterdir()) == []
        return done.err

    return run


@pytest.fixture
def spoil() -> Callable[..., None]:
    """Write voxels over a scan."""

    def write(image: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> None:
        import nibabel

        image.unlink(missing_ok=True)
        written = nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine)
        nibabel.save(written, image)

    return write


@pytest.fixture
def manifest(tmp_path) -> Callable[..., Path]:
    """Write a CSV from rows of cells."""

    def write(*rows: tuple[object, ...], name: str = "cases.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
        return path

    return write
