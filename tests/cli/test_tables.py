"""Tables fit a terminal, whatever tasks and mappers are called."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from medfs.cli.tables import draw, show_results
from medfs.workflows.tables import blocks
from medfs.workflows.verdicts import TITLES, verdicts
from medfs.workflows.wording import results_table

NAMES = st.text(st.characters(categories=["L", "N", "P"], include_characters=" ="), min_size=1)
LONG = "r2d2=/data/projects/meta/2026-11/mapper.safetensors"


def made_up(task, mappers, shots=(1, 20), failed=()):
    """Results whose numbers are as wide as numbers get."""
    wide = {"mean": -0.123, "low": -0.456, "high": -0.789}
    row = {"auroc": {"mean": 0.5, "low": 0.4, "high": 0.6}, "nll": {"mean": 12.345}}
    row["ece"] = {"value": 0.123, "floor": 0.045}
    rows = [{"task": task, "shots": k, "mapper": m, **row} for k in shots for m in mappers]
    rows += [
        {"task": task, "shots": k, "mapper": m, "error": "too few patients " * 12}
        for k in failed
        for m in mappers
    ]
    pairs = [
        {"task": task, "shots": k, "first": mappers[0], "second": m, "auroc": wide}
        for k in shots
        for m in mappers[1:]
    ]
    gaps = dict.fromkeys(mappers, wide)
    alone = {"auroc": {"mean": 0.9, "low": 0.8, "high": 1}, "classifier_minus_shortcut": gaps}
    off = {"mean": 0.9, "low": 0.8, "high": 1.0, "at_chance": False}
    audits = [
        {
            "task": task,
            "shots": k,
            "shortcuts": dict.fromkeys(TITLES, alone),
            "same_in_every_case": [],
            "permuted_labels": dict.fromkeys(mappers, off),
        }
        for k in shots
    ]
    said = verdicts(rows, audits, "radiomics + resnet18")
    return {"results": rows, "comparisons": pairs, "audits": audits, "verdicts": said}


@given(NAMES, st.lists(NAMES, min_size=1, max_size=3, unique=True))
def test_no_line_is_longer_than_a_terminal(task, mappers):
    text = results_table(made_up(task, mappers, failed=(50,)))
    assert max(map(len, text.splitlines())) <= 100


def test_a_long_name_is_folded_and_not_cut():
    text = results_table(made_up("t", ["ridge", LONG]))
    table = [line for line in text.splitlines() if not line.startswith("Δ")][:12]
    column = [line[7:30].strip() for line in table]
    assert LONG in "".join(column).replace(" ", "")


def test_the_difference_is_that_of_the_row_to_the_first():
    results = made_up("t", ["ridge", "prototype"], shots=(5,))
    results["comparisons"][0]["auroc"] = {"mean": 0.02, "low": 0.01, "high": 0.03}
    lines = results_table(results).splitlines()
    assert re.search(r"prototype .* -0\.020 \(-0\.030 to -0\.010\)$", lines[3])
    assert not re.search(r"[+-]\d", lines[2])


def test_rounding_leaves_no_minus_zero():
    results = made_up("t", ["ridge", "prototype"], shots=(5,))
    results["comparisons"][0]["auroc"] = {"mean": 1e-5, "low": 0.0, "high": 2e-5}
    assert "+0.000 (+0.000 to +0.000)" in results_table(results)


def test_one_mapper_has_no_column_of_differences():
    text = results_table(made_up("t", ["ridge"]))
    assert "Δ" not in text


def test_nothing_but_errors_is_a_table_too():
    text = results_table(made_up("t", ["ridge", "prototype"], shots=(), failed=(50, 99)))
    assert " ".join(text.split()).count("too few patients") == 2 * 12
    assert "50 shots:" in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_rich_fits_its_console_and_obeys_no_markup(width):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    draw(blocks(made_up("[red]t", ["ridge", LONG, "[bold]x\x1b[31m"])), console)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(map(len, shown.splitlines())) <= width
    assert "[red]t" in shown
    assert "[bold]x?[31m" in shown.replace(" ", "").replace("\n", "")


def test_a_terminal_gets_the_drawn_table(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "150")
    show_results(made_up("t", ["ridge", "prototype"]))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().err)
    assert "─" in shown
    assert max(map(len, shown.splitlines())) <= 100
