"""A decoder that crashes, hangs or lies costs one image, and never the program."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from medfs.core.errors import ScanReadError
from medfs.scans import read_series
from medfs.scans.dicom import sandbox, worker

TASKS = Path("/proc/self/task")
pytestmark = pytest.mark.skipif(not TASKS.exists(), reason="looks into /proc")

# A fake decoder does as the real one unless the file holds its mark.
FAKE = """
import ctypes, json, os, sys, time
sys.path.insert(0, {folder!r})
import worker
MARK = b"DO IT NOW"
if {limit}:
    worker.MEMORY_LIMIT = {limit}

def misbehave():
    {deed}

class Requests:
    def __init__(self, stream):
        self.stream = stream

    def read(self, count):
        content = self.stream.read(count)
        if MARK in content:
            misbehave()
        return content

class Stdin:
    buffer = Requests(sys.stdin.buffer)

def answer(text, body=b""):
    os.write(1, len(text).to_bytes(8, "little") + text + body)

sys.stdin = Stdin()
out = os.dup(1)
worker.main()
"""
MARK = b"DO IT NOW"


@pytest.fixture
def pool(monkeypatch):
    """A pool of its own for the test, with a short limit of time; checked for what it leaves."""
    fresh = sandbox._Pool()
    monkeypatch.setattr(sandbox, "_pool", fresh)
    monkeypatch.setattr(sandbox, "_SECONDS", 20.0)
    before = children()
    yield fresh
    fresh.close()
    assert children() <= before


def children():
    """Processes that this one started and has not waited for, zombies among them."""
    listed = [task / "children" for task in TASKS.iterdir()]
    return {int(pid) for path in listed if path.exists() for pid in path.read_text().split()}


@pytest.fixture
def misbehave(tmp_path, monkeypatch):
    """`misbehave(deed)`: decoders do it on meeting a marked file."""

    def install(deed, limit=0):
        script = tmp_path / "fake_worker.py"
        folder = str(Path(worker.__file__).parent)
        # The fake shares the real one's folder for its import alone; -P keeps the rest away.
        shadow = tmp_path / "only"
        shadow.mkdir(exist_ok=True)
        (shadow / "worker.py").write_bytes((Path(folder) / "worker.py").read_bytes())
        script.write_text(FAKE.format(folder=str(shadow), deed=deed, limit=limit))
        monkeypatch.setattr(sandbox, "_COMMAND", (sys.executable, "-P", str(script)))

    return install


@pytest.fixture(scope="module")
def image():
    """A small RLE file and its values; with `marked`, one that makes decoders misbehave."""
    ds = pydicom.dcmread(pydicom.data.get_testdata_file("MR_small_RLE.dcm", download=False))
    assert ds.file_meta.TransferSyntaxUID == RLELossless

    def make(marked=False):
        from io import BytesIO

        ds.ImageComments = MARK.decode() if marked else "nothing"
        stream = BytesIO()
        ds.save_as(stream)
        return stream.getvalue()

    return make, ds.pixel_array


def decode(content, name="slice7"):
    return sandbox.decode_apart(name, content, 64 * 64 * 2)


DEEDS = {
    "a crash": "ctypes.string_at(0)",
    "an abort": "os.abort()",
    "an end": "os._exit(0)",
    "an end amid the answer": "os.write(out, bytes([200] + 7 * [0]) + b'{'); os._exit(0)",
    "no JSON": "os.write(out, bytes([4] + 7 * [0]) + b'what')",
    "a list": "os.write(out, bytes([2] + 7 * [0]) + b'[]')",
    "a text": "os.write(out, bytes([7] + 7 * [0]) + b'\"shape\"')",
    "no shape": "os.write(out, bytes([2] + 7 * [0]) + b'{}')",
    "no number format": "os.write(out, bytes([13] + 7 * [0]) + b'{\"shape\": [1]}')",
    "objects": 'h = b\'{"shape": [2], "dtype": "O"}\'; '
    "os.write(out, bytes([len(h)] + 7 * [0]) + h + bytes(16))",
    "a negative size": 'h = b\'{"shape": [-2, -2], "dtype": "<i2"}\'; '
    "os.write(out, bytes([len(h)] + 7 * [0]) + h + bytes(16))",
    "an endless answer": 'h = b\'{"shape": [9999999, 999999], "dtype": "<i2"}\'; '
    "os.write(out, bytes([len(h)] + 7 * [0]) + h + bytes(16))",
    "endless nesting": "h = b'[' * 60000; os.write(out, len(h).to_bytes(8, 'little') + h)",
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_a_decoder_that_fails_costs_one_image(pool, misbehave, image, deed):
    misbehave(deed)
    make, values = image
    np.testing.assert_array_equal(decode(make()), values)
    begin = time.monotonic()
    with pytest.raises(ScanReadError, match=r"slice7: the decoder crashed") as caught:
        decode(make(marked=True))
    assert time.monotonic() - begin < 10
    assert "Export or copy the series again" in str(caught.value)
    np.testing.assert_array_equal(decode(make()), values)


@pytest.mark.parametrize(
    "deed", ["time.sleep(600)", "time.sleep(600 + 0 * os.write(out, bytes([200] + 7 * [0])))"]
)
def test_a_decoder_that_hangs_is_ended(pool, misbehave, image, monkeypatch, deed):
    misbehave(deed)
    make, values = image
    np.testing.assert_array_equal(decode(make()), values)
    monkeypatch.setattr(sandbox, "_SECONDS", 0.7)
    begin = time.monotonic()
    with pytest.raises(ScanReadError, match=r"takes too long.*slice7: .*stopped after 1 s"):
        decode(make(marked=True))
    assert 0.5 < time.monotonic() - begin < 5
    monkeypatch.setattr(sandbox, "_SECONDS", 20.0)
    np.testing.assert_array_equal(decode(make()), values)


def test_a_decoder_that_does_not_read_is_ended(pool, monkeypatch, tmp_path):
    """More than a pipe holds: the writer waits, and the limit ends it."""
    (tmp_path / "deaf.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(sandbox, "_COMMAND", (sys.executable, str(tmp_path / "deaf.py")))
    monkeypatch.setattr(sandbox, "_SECONDS", 0.5)
    with pytest.raises(ScanReadError, match="takes too long"):
        decode(bytes(1 << 20))


def test_memory_without_end_is_refused(pool, misbehave, image):
    """Within its limit, here lowered to 1.5 GiB of addresses; nothing of it is touched."""
    misbehave("worker.hoard = [bytearray(1 << 28) for _ in range(99)]", limit=3 << 29)
    make, values = image
    with pytest.raises(ScanReadError, match="slice7"):
        decode(make(marked=True))
    np.testing.assert_array_equal(decode(make()), values)


def test_what_the_decoder_raises_is_told_and_it_lives_on(pool, image):
    make, values = image
    content = make()
    with pytest.raises(ScanReadError, match=r"truncated or damaged\. slice7: "):
        decode(content[:-2000])
    (alive,) = [w for w in pool.idle.queue if w is not None]
    np.testing.assert_array_equal(decode(content), values)
    assert alive in pool.idle.queue


def test_a_decoder_that_died_while_it_waited_is_replaced(pool, image):
    make, values = image
    decode(make())
    (waiting,) = [w for w in pool.idle.queue if w is not None]
    waiting.process.kill()
    waiting.process.wait()
    np.testing.assert_array_equal(decode(make()), values)


def test_a_decoder_that_cannot_start_is_told_every_time(pool, image, monkeypatch, tmp_path):
    """As often as there are workers, and once more: a lost place would be waited for forever."""
    make, values = image
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "_COMMAND", (str(tmp_path / "no_python"),))
        for _ in range(3):
            with pytest.raises(ScanReadError, match="slice7: the process that decodes cannot be"):
                decode(make())
    np.testing.assert_array_equal(decode(make()), values)


def test_threads_share_the_pool(pool, misbehave, image):
    """Good and bad images by turns from eight threads: each gets its own answer."""
    misbehave("os.abort()")
    make, values = image
    good, bad = make(), make(marked=True)

    def one(n):
        if n % 6:
            return np.array_equal(decode(good, f"s{n}"), values)
        with pytest.raises(ScanReadError, match=rf"s{n}: the decoder crashed"):
            decode(bad, f"s{n}")
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(24)))
    assert pool.idle.qsize() == 2


def _in_child(content, sender):
    pool = sandbox._pool
    values = sandbox.decode_apart("child", content, 64 * 64 * 2)
    sender.send((pool is None, int(values.sum()), sandbox._workers().owner == os.getpid()))


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.parametrize("locked", [False, True])
def test_after_a_fork_the_child_has_a_pool_of_its_own(pool, image, locked):
    make, values = image
    decode(make())
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe()
    child = context.Process(target=_in_child, args=(make(), sender))
    if locked:  # by another thread, at the moment of the fork
        with sandbox._lock:
            child.start()
    else:
        child.start()
    assert receiver.poll(30)
    assert receiver.recv() == (True, int(values.sum()), True)
    child.join(20)
    assert child.exitcode == 0
    np.testing.assert_array_equal(decode(make()), values)  # the parent's goes on
    child.close()


def test_nothing_is_left_at_the_end_of_a_program(tmp_path, image):
    """Workers end with the program: in the end, and when it is killed."""
    make, _ = image
    (tmp_path / "f").write_bytes(make())
    program = (
        "import pathlib, sys, os, signal\n"
        "from medfs.scans.dicom import sandbox\n"
        "sandbox.decode_apart('f', pathlib.Path(sys.argv[1]).read_bytes(), 8192)\n"
        "(w,) = [w for w in sandbox._pool.idle.queue if w]\n"
        "print(w.process.pid, flush=True)\n"
        "if sys.argv[2] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for how in ("ends", "killed"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "f"), how],
            capture_output=True,
            text=True,
            check=how == "ends",
        )
        pid, waited = int(done.stdout), time.monotonic()
        while alive(pid) and time.monotonic() - waited < 10:
            time.sleep(0.05)
        assert not alive(pid)


def alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_the_decoder_does_not_load_medfs(tmp_path, pool):
    """Its start is waited for by every program that reads a compressed series."""
    code = f"import runpy, sys; runpy.run_path({worker.__file__!r}, run_name='__main__'); "
    code += "sys.stderr.write(' '.join(m for m in sys.modules if m.startswith('medfs')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_a_series_whose_second_image_crashes_the_decoder(
    pool, misbehave, tmp_path, write_series, random_stack
):
    misbehave("ctypes.string_at(0)")

    def mark(ds, k):
        if k == 1:
            ds.ImageComments = MARK.decode()

    write_series(tmp_path / "s", random_stack(), edit=mark)
    for path in (tmp_path / "s").iterdir():
        ds = pydicom.dcmread(path)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path)
    threads = threading.active_count()
    with pytest.raises(ScanReadError, match="I001: the decoder crashed"):
        read_series(tmp_path / "s")
    assert threading.active_count() <= threads
