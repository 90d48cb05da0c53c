"""Steps of speed.py that need a process of their own; each prints one line of JSON.

python benchmarks/speed_steps.py throughput MODEL SCANS --rounds 3
python benchmarks/speed_steps.py memory MODEL SCANS
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("throughput", "memory"))
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("scans", type=Path, help="manifest of scans and masks, without labels")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    if args.step == "memory":
        result = memory(args.model, args.scans)
    else:
        result = throughput(args.model, args.scans, args.rounds)
    print(json.dumps(result))


def memory(model: Path, scans: Path) -> dict[str, float]:
    """`medfs predict` in this process, then its peak resident memory (MiB)."""
    from medfs.cli.main import app

    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "predictions.csv")
        app(
            ["--quiet", "predict", str(model), str(scans), "--no-cache", "--out", out],
            standalone_mode=False,
        )
    return {"peak_mib": _peak_mib()}


def throughput(model: Path, scans: Path, rounds: int) -> dict[str, float]:
    """Median scans per second of medfs and of the plain pipeline, in turn, imports done before."""
    with_medfs, with_monai = _medfs(model, scans), _plain_monai(model, scans)
    # Both once before the clock starts: the first call of each loads what it loads lazily.
    first, second = with_medfs(), with_monai()
    seconds: dict[str, list[float]] = {"medfs": [], "monai": []}
    for _ in range(rounds):
        for name, work in (("medfs", with_medfs), ("monai", with_monai)):
            started = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - started)
    count = len(first)
    return {
        "scans": count,
        "medfs_scans_per_s": count / median(seconds["medfs"]),
        "monai_scans_per_s": count / median(seconds["monai"]),
        "same_class": sum(a == b for a, b in zip(first, second, strict=True)) / count,
    }


def _medfs(model: Path, scans: Path) -> Callable[[], list[int]]:
    from medfs.workflows.predict import load_predictor, predict

    predictor = load_predictor(model, device="cpu", use_cache=False)

    def work() -> list[int]:
        rows = [p.probabilities for p in predict(predictor, scans)]
        return [row.index(max(row)) if row else -1 for row in rows]

    return work


def _plain_monai(model: Path, scans: Path) -> Callable[[], list[int]]:
    """Dictionary transforms, the same radiomics, the same linear head; on one thread, as medfs."""
    import torch
    from monai.transforms import Compose

    from medfs.core.features import Features
    from medfs.core.patches import PatchBatch
    from medfs.core.threads import single_thread
    from medfs.features.radiomics import Radiomics
    from medfs.scans.cohorts import load_cohort
    from medfs.workflows.predict import load_predictor

    read: Compose = Compose(_transforms())
    encoder = Radiomics()
    calibrated = load_predictor(model, device="cpu", use_cache=False).calibrated
    cases = load_cohort(scans, labelled=False).cases
    spacing = torch.ones(1, 3)

    def one(image: Path, mask: Path) -> int:
        patch = read({"image": str(image), "mask": str(mask)})
        batch = PatchBatch(
            patch["image"].as_tensor()[None], patch["mask"].as_tensor()[None], spacing
        )
        block = encoder(batch)
        return int(calibrated.predict_proba(Features({encoder.identity: block})).argmax())

    def work() -> list[int]:
        with single_thread(), torch.inference_mode():
            return [one(case.image, case.mask) for case in cases if case.mask is not None]

    return work


def _transforms() -> list[Callable[[dict[str, object]], dict[str, object]]]:
    """Lung window, 1 mm, 48 voxels around the mask."""
    from monai import transforms as t

    keys = ["image", "mask"]
    return [
        t.LoadImaged(keys),
        t.EnsureChannelFirstd(keys),
        t.Orientationd(keys, axcodes="RAS", labels=None),
        t.Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest")),
        t.CropForegroundd(keys, source_key="mask", margin=5, allow_smaller=True),
        t.ResizeWithPadOrCropd(keys, spatial_size=(48, 48, 48)),
        t.ScaleIntensityRanged(["image"], a_min=-1000, a_max=1000, b_min=-1, b_max=1, clip=True),
    ]


def _peak_mib() -> float:
    """Peak resident memory of this process since it began (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("/proc/self/status has no VmHWM: this step needs Linux")


if __name__ == "__main__":
    main()
