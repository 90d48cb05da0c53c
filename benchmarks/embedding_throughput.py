"""How many patches a second does each encoder read, and how near is that to what the device can do?

    OMP_NUM_THREADS=2 python benchmarks/embedding_throughput.py --device cpu --out throughput.json
    python benchmarks/embedding_throughput.py --device cuda:0 --batch 32

Backbones have random weights: speed does not depend on their values. Patches are 48³, as the
presets make them. The device's own rates are measured in the same process: a large matrix product
in each precision, and a copy in its memory. `of matmul` is the share of that rate which a network's
multiplications reach (two operations for each multiplication and addition); radiomics and layout
move memory rather than multiply, so for them the time is set against that of copying the patch.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tables import markdown, progress, write_json
from torch.utils.flop_counter import FlopCounterMode

from medfs.core.patches import PatchBatch
from medfs.features import backbones
from medfs.features.layout import Layout
from medfs.features.radiomics import Radiomics
from medfs.testing.samples import random_patches

SHAPE = (48, 48, 48)
RESNETS = {"resnet10": "B", "resnet18": "A", "resnet34": "A", "resnet50": "B"}
NAMES = ("radiomics", "layout", *RESNETS, "densenet121", "swin_unetr")


@dataclass(frozen=True)
class Mode:
    """How a network is run."""

    name: str
    dtype: torch.dtype = torch.float32
    channels_last: bool = False


MODES = (
    Mode("float32"),
    Mode("float32, channels last", channels_last=True),
    Mode("bf16 autocast", torch.bfloat16),
    Mode("bf16 autocast, channels last", torch.bfloat16, True),
)


def main() -> None:
    args = _arguments()
    device = torch.device(args.device)
    rates = {
        str(m.dtype): _matmul_rate(device, m.dtype, args.seconds) for m in (MODES[0], MODES[2])
    }
    copied = _copy_rate(device, args.seconds)
    for name, rate in rates.items():
        print(f"matmul, {name}: {rate / 1e9:.0f} GFLOP/s")
    print(f"copy: {copied / 1e9:.1f} GB/s (read and written)\n")
    rows = []
    for name in args.encoders:
        for mode in MODES if name not in ("radiomics", "layout") else MODES[:1]:
            row = _measured(name, mode, device, args.batch, args.seconds)
            row["of_matmul"] = row["flops"] * row["per_second"] / rates[str(mode.dtype)]
            row["of_copy"] = 2 * 4 * 48**3 * row["per_second"] / copied
            rows.append(row)
            progress(f"{name}, {mode.name}: {row['per_second']:.1f} patches/s")
    write_json(args.out, {"device": _named(device), "matmul": rates, "copy": copied, "rows": rows})
    head = ("encoder", "mode", "patches/s", "GFLOP/patch", "of matmul", "of copy")
    print(markdown(head, [_line(row) for row in rows]))
    print(f"\n{_named(device)}, batches of {args.batch}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1, help="medfs itself encodes one by one")
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement, at least")
    parser.add_argument("--encoders", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _measured(
    name: str, mode: Mode, device: torch.device, batch: int, seconds: float
) -> dict[str, Any]:
    encoder = _encoder(name).to(device)
    given = random_patches(batch, SHAPE, 0).to(device)
    if mode.channels_last:
        encoder = encoder.to(memory_format=torch.channels_last_3d)
        image = given.image.contiguous(memory_format=torch.channels_last_3d)
        given = PatchBatch(image, given.roi, given.spacing)
    lower = mode.dtype != torch.float32
    running = torch.autocast(device.type, dtype=mode.dtype) if lower else nullcontext()
    with torch.inference_mode(), running:
        counter = FlopCounterMode(display=False)
        with counter:
            encoder(given)
        took = _time(lambda: encoder(given), device, seconds)
    flops = counter.get_total_flops() / batch
    return {"encoder": name, "mode": mode.name, "per_second": batch / took, "flops": flops}


def _encoder(name: str) -> torch.nn.Module:
    if name in ("radiomics", "layout"):
        return Radiomics() if name == "radiomics" else Layout()
    return getattr(backbones, name)(_untrained(name).state_dict())


def _untrained(name: str) -> torch.nn.Module:
    from monai.networks import nets

    if name == "densenet121":
        return nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=2)
    if name == "swin_unetr":
        return nets.SwinUNETR(in_channels=1, out_channels=2, feature_size=48)
    fixed = {"spatial_dims": 3, "n_input_channels": 1, "feed_forward": False}
    shortcut = RESNETS[name]
    return getattr(nets, name)(**fixed, shortcut_type=shortcut, bias_downsample=False)


def _matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    n = 1024 if device.type == "cpu" else 8192
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return 2 * n**3 / _time(lambda: a @ b, device, seconds)


def _copy_rate(device: torch.device, seconds: float) -> float:
    source = torch.zeros(64 * 2**20, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / _time(lambda: target.copy_(source), device, seconds)


def _time(run: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Median time of a call, over calls of at least `seconds` together, after one to warm up."""
    run()
    times: list[float] = []
    while sum(times) < seconds or len(times) < 3:
        _wait(device)
        started = time.perf_counter()
        run()
        _wait(device)
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _named(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} thread(s)"


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    multiplies = row["flops"] > 1e9
    return (
        row["encoder"],
        row["mode"],
        f"{row['per_second']:.3g}",
        f"{row['flops'] / 1e9:.1f}" if multiplies else "",
        f"{row['of_matmul']:.0%}" if multiplies else "",
        "" if multiplies else f"{row['of_copy']:.1%}",
    )


if __name__ == "__main__":
    main()
