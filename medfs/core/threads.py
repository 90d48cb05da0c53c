"""How many threads torch uses."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_thread() -> Iterator[None]:
    """One thread for many small operations.

    On small tensors threads spend their time waiting for each other: on a busy machine with two
    cores the same work was ten times slower with two threads than with one. And sums of several
    threads round differently: with one, bytes do not depend on the machine's number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
