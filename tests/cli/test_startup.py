"""Starting up is quick: nobody waits for torch to read a help text."""

import os
import subprocess
import sys
import time

import pytest

HEAVY = ("torch", "monai")
PROGRAM = """
import sys
from medfs.cli.main import main
try:
    main()
except SystemExit as stop:
    code = stop.code
found = [m for m in {watched!r} if m in sys.modules]
print(*found, file=sys.stderr)
sys.exit(code)
"""


def imported(*arguments, watched=HEAVY):
    program = PROGRAM.format(watched=watched)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("info",),
        ("info", "--json"),
        ("adapt", "--help"),
        ("scans", "--help"),
    ],
)
def test_light_commands_import_nothing_heavy(arguments):
    heavy = (*HEAVY, "numpy", "nibabel", "pydicom", "sklearn", "scipy")
    assert imported(*arguments, watched=heavy) == []


def test_validate_imports_no_torch(support):
    assert imported("validate", support) == []


def test_scans_imports_no_torch(support):
    assert imported("scans", support, watched=(*HEAVY, "sklearn", "highdicom")) == []


def test_import_is_light_and_the_estimator_lazy():
    program = (
        "import sys, medfs\nassert not {'torch', 'monai', 'numpy'} & set(sys.modules)\n"
        "medfs.FewShotClassifier\nassert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_listing_registries_imports_nothing():
    program = (
        "import sys\nfrom medfs.workflows import registries as r\n"
        "r.MAPPERS.entries(), r.BACKBONES.check('resnet10')\n"
        "assert not {'torch', 'monai'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("arguments", [("--help",), ("info",)])
def test_start_up_time(arguments):
    program = [sys.executable, "-c", "from medfs.cli.main import main; main()", *arguments]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(program, check=True, capture_output=True, env=os.environ)
        times.append(time.perf_counter() - started)
    print(f"medfs {' '.join(arguments)}: {min(times):.2f} s")
    assert min(times) < 1
