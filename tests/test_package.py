"""What the installed package brings, and that the source tree keeps to its own rules."""

import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml

import medfs
from medfs.storage.configs import config_folder, config_names

ROOT = Path(__file__).parents[1]


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


def test_a_wheel_holds_package_configs_and_licence(tmp_path: Path) -> None:
    build = pytest.importorskip("build", reason="needs the dev extra")
    assert build
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    pytest.importorskip("hatchling", reason="needs hatchling")
    subprocess.run([*map(str, command), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True
    ).stdout
    shipped = ("medfs/configs/presets/ct-lung.yaml", "medfs/shipped/region-finder.safetensors")
    for wanted in (*shipped, "medfs/py.typed", "LICENSE"):
        assert wanted in names
    assert "tests/" not in names
