"""Results in plain words, for people who read a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any


def in_words(report: Mapping[str, Any]) -> str:
    """What a model was made from, with what, and how well it ranks its own support."""
    classes = " + ".join(f"{c['patients']} {name}" for name, c in report["classes"].items())
    used = report["components"]
    made = (
        f"{', '.join(used['features'])} + {used['mapper']} + {used['calibrator']} "
        f"(T = {report['temperature']:.2f}), region: {'mask' if used['use_masks'] else 'found'}, "
        f"preset: {used['preset']} ({used['preset_reason']})"
    )
    return f"used: {made}\n{classes} patients: {_ranking(report['performance_on_support'])}"


def _ranking(performance: Mapping[str, Any] | None) -> str:
    if performance is None:
        return "too few to say how well the classifier ranks"
    of = "AUROC" if len(performance["pairs"]) == 1 else "mean AUROC of the pairs of classes"
    worst = "" if len(performance["pairs"]) == 1 else "; the worst pair"
    return (
        f"{of} {performance['auroc']:.2f} with pairs left out{worst} "
        f"could be anywhere from {performance['low']:.2f} to {performance['high']:.2f}"
    )


def results_table(results: Mapping[str, Any]) -> str:
    """One line per task, shot count and mapper."""
    head = ("task", "shots", "mapper", "AUROC (95 % over patients)", "NLL", "ECE (floor)")
    return _aligned([head, *(_line(row) for row in results["results"])])


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    head = (row["task"], str(row["shots"]), row["mapper"])
    if "error" in row:
        return (*head, row["error"], "", "")
    auroc = row["auroc"]
    shown = f"{auroc['mean']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f})"
    if "shortcut_extent_only" in row:
        shortcut = row["shortcut_extent_only"]["auroc"]["mean"]
        shown += f"; field of view alone: {shortcut:.3f}"
    ece = f"{row['ece']['value']:.3f} ({row['ece']['floor']:.3f})"
    return (*head, shown, f"{row['nll']['mean']:.3f}", ece)


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)
