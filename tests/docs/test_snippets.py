"""What README and docs show works: blocks of Python and shell are run, command lines are parsed.

```python    run, page by page in order, in one folder; README's has the scans that it draws
```python sketch    not run; it holds an ellipsis that says so
```sh        run by bash in the same folder, in the same order
other blocks, and indented lines: each `medfs …` must be one that the command line accepts
"""

import os
import re
import shlex
import stat
import subprocess
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
import typer

from medfs.cli.main import app
from medfs.scans.write import write_nifti
from medfs.synthesis.cohorts import simulate_cohort

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = ("python", "sh")
SHIM = "import sys; from medfs.cli.main import main; sys.argv[0] = 'medfs'; main()"
# Names of the people in README's drawing of a folder.
BENIGN, MALIGNANT, NEW = ("anna", "bert", "carl"), ("dora", "emil", "fred"), ("gina", "hans")


@dataclass(frozen=True)
class Block:
    """A fenced block, with what stands behind its fence."""

    info: str
    text: str
    line: int

    @property
    def runs(self) -> bool:
        return self.info in RUN


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(m.group(1).strip(), m.group(2), text[: m.start()].count("\n") + 1)
        for m in _FENCE.finditer(text)
    ]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def draw(folder: Path) -> None:
    """Scans as README's drawing shows them."""
    shown = [(f"cases/benign/{n}", "smooth") for n in BENIGN]
    shown += [(f"cases/malignant/{n}", "spiculated") for n in MALIGNANT]
    shown += [(f"new_scans/{NEW[0]}", "smooth"), (f"new_scans/{NEW[1]}", "spiculated")]
    drawn = list(islice(simulate_cohort(5, 0), 10))
    for stem, label in shown:
        case = drawn.pop(next(i for i, c in enumerate(drawn) if c.label == label))
        write_nifti(folder / f"{stem}.nii.gz", case.voxels, case.affine, "int16")
        write_nifti(folder / f"{stem}_mask.nii.gz", case.mask, case.affine, "uint8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where `medfs` and `python` are those of this test."""
    programs = tmp_path / ".bin"
    programs.mkdir()
    for name, more in (("medfs", f"-W ignore -c {shlex.quote(SHIM)} "), ("python", "-W ignore ")):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {more}"$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _shell(block: Block, folder: Path) -> None:
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"line {block.line}: {done.stderr[-3000:]}"


# MONAI warns of its own deprecations.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if any(b.runs for b in blocks(p))], ids=named)
def test_blocks_run_in_order(page, folder):
    names: dict[str, object] = {"__name__": "snippet"}
    if page.name == "README.md":
        draw(folder)
    for block in blocks(page):
        if block.info == "python":
            exec(compile(block.text, f"{page.name}:{block.line}", "exec"), names)
        elif block.info == "sh":
            _shell(block, folder)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_python_that_is_not_run_says_so(page):
    for block in blocks(page):
        if block.info.startswith("python") and not block.runs:
            assert block.info == "python sketch", f"line {block.line}: {block.info}"
            assert "..." in block.text, f"line {block.line}: it could be run"
            compile(block.text, f"{page.name}:{block.line}", "exec")


def commands(page: Path) -> list[str]:
    """Every line of a block, or indented, that begins with `medfs` and a command."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for m in _FENCE.finditer(text) for line in m.group(2).splitlines()]
    lines += [line for line in text.splitlines() if line.startswith("    ")]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if re.match(r"medfs [a-z]", part)]


def check_command(line: str) -> None:
    """That the command line takes it, short of running it."""
    words = [w for w in shlex.split(line, comments=True) if w not in (">", "|")][1:]
    command = typer.main.get_command(app)
    context = command.make_context("medfs", [], resilient_parsing=True)
    while hasattr(command, "get_command"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}"
        command, words = found, words[1:]
    command.make_context(command.name, words)


@pytest.mark.parametrize("page", [p for p in PAGES if commands(p)], ids=named)
def test_every_command_line_is_accepted(page):
    for line in commands(page):
        try:
            check_command(line.split(" > ")[0])
        except Exception as error:
            raise AssertionError(f"{line}: {error}") from error


@pytest.mark.parametrize(
    "line",
    ["medfs adopt cases/", "medfs adapt --support a --outt b", "medfs export", "medfs bundle x"],
)
def test_a_wrong_command_line_is_not(line):
    with pytest.raises(Exception, match=r"no command|No such option|Missing"):
        check_command(line)


def test_pages_are_found():
    assert {"README.md", "docs/tutorial.md", "docs/mapping.md"} <= {named(p) for p in PAGES}
    assert sum(b.runs for p in PAGES for b in blocks(p)) >= 14
