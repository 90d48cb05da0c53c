"""What the installed package brings, and that the source tree keeps to its own rules."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml

import medfs
from medfs.storage.configs import config_folder, config_names

ROOT = Path(__file__).parents[1]
MEGABYTES = 30
NO_NETWORK = """
import socket

def refuse(*args, **more):
    raise OSError("no network here")

class Refusing(socket.socket):
    # Sockets between processes of this machine that are no network stay.
    def connect(self, address):
        return super().connect(address) if self.family == socket.AF_UNIX else refuse()

    def connect_ex(self, address):
        return super().connect_ex(address) if self.family == socket.AF_UNIX else refuse()

socket.socket, socket.getaddrinfo, socket.gethostbyname = Refusing, refuse, refuse
"""


def test_version_is_that_of_the_distribution() -> None:
    assert medfs.__version__ == version("medfs")


def test_torch_has_an_upper_bound() -> None:
    torch = [r for r in requires("medfs") or [] if r.startswith(("torch<", "torch>"))]
    assert torch == ["torch<2.14,>=2.10"]


@pytest.mark.parametrize("kind", ["presets", "calibration", "meta-train"])
def test_shipped_configs_are_those_of_the_source_tree(kind: str) -> None:
    shipped, source = config_folder(kind), ROOT / "configs" / kind
    assert config_names(kind) == tuple(sorted(p.stem for p in source.glob("*.yaml")))
    for name in config_names(kind):
        read = [yaml.safe_load((f / f"{name}.yaml").read_text("utf-8")) for f in (shipped, source)]
        assert read[0] == read[1]


def test_help_imports_neither_torch_nor_monai() -> None:
    code = (
        "import sys; sys.argv = ['medfs', '--help']\n"
        "from medfs.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert e.code == 0\n"
        "assert not {'torch', 'monai', 'numpy'} & set(sys.modules), 'heavy import'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source tree with what is installed: nothing is fetched."""
    build = pytest.importorskip("build", reason="needs the dev extra")
    assert build
    pytest.importorskip("hatchling", reason="needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder]
    subprocess.run([*map(str, command), str(ROOT)], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


def test_a_wheel_holds_package_configs_and_licence(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = ("medfs/configs/presets/ct-lung.yaml", "medfs/shipped/region-finder.safetensors")
    for wanted in (*shipped, "medfs/shipped/medfs-base.safetensors", "medfs/py.typed"):
        assert wanted in names
    assert any(name.endswith("LICENSE") for name in names)
    assert not any("tests/" in name for name in names)


def test_a_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MEGABYTES * 2**20


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of processes that see the installed wheel, not this tree, and no network."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    target = ["--target", str(folder), str(wheel)]
    done = subprocess.run([*command, *target], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # Python imports it at start-up, before anything of medfs.
    (folder / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    cache = tmp_path_factory.mktemp("offline-cache")
    return {**os.environ, "PYTHONPATH": str(folder), "MEDFS_CACHE": str(cache)}


def run(code: str, env: dict[str, str], cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True)


def test_without_a_network_is_without_a_network(installed: dict[str, str], tmp_path: Path) -> None:
    """Or the next test could not fail."""
    for attempt in (
        "import socket; socket.create_connection(('127.0.0.1', 9), timeout=1)",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import urllib.request as u; u.urlopen('http://127.0.0.1:9', timeout=1)",
    ):
        assert "no network here" in run(attempt, installed, tmp_path).stderr


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel_without_a_network(
    installed: dict[str, str], tmp_path: Path
) -> None:
    place = installed["PYTHONPATH"]
    code = (
        "import sys, medfs\n"
        f"assert medfs.__file__.startswith({place!r}), medfs.__file__\n"
        "sys.argv = ['medfs', 'demo', '--out', 'demo']\n"
        "from medfs.cli.main import main; main()"
    )
    done = run(code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "AUROC on" in done.stdout
    assert (tmp_path / "demo" / "predictions.csv").is_file()
