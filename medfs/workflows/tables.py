"""The results of `medfs evaluate` as tables, before anybody decides how they are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medfs.workflows.verdicts import TITLES

Row = tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A table with a title and what is to be said below it. `rows` may be empty."""

    title: str
    head: Row
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def blocks(results: Mapping[str, Any]) -> list[Block]:
    """One block of metrics per task, and one of audits where there were any."""
    made = []
    for task in dict.fromkeys(row["task"] for row in results["results"]):
        made.append(_metrics(task, results))
        if audits := [a for a in results["audits"] if a["task"] == task]:
            sentences = [v["sentence"] for v in results["verdicts"] if v["task"] == task]
            made.append(_audits(task, audits, sentences))
    return made


def _metrics(task: str, results: Mapping[str, Any]) -> Block:
    rows = [row for row in results["results"] if row["task"] == task]
    gaps = {(c["shots"], c["second"]): c for c in results["comparisons"] if c["task"] == task}
    head: Row = ("shots", "mapper", "AUROC (95 %)", "NLL", "ECE (floor)")
    first = rows[0]["mapper"]
    several = any(row["mapper"] != first for row in rows)
    lines = [
        (*_line(row), *((_gap(gaps.get((row["shots"], row["mapper"]))),) if several else ()))
        for row in rows
        if "error" not in row
    ]
    errors = {row["shots"]: row["error"] for row in rows if "error" in row}
    notes = [f"{shots} shots: {error}" for shots, error in errors.items()]
    if lines and several:
        head = (*head, "Δ AUROC to the first")
        notes.append(f"Δ: mapper of the row minus {first}, paired; 95 % over patients.")
    return Block(task, head, tuple(lines), tuple(notes))


def _line(row: Mapping[str, Any]) -> Row:
    auroc, ece = row["auroc"], row["ece"]
    return (
        str(row["shots"]),
        row["mapper"],
        f"{auroc['mean']:.3f} ({auroc['low']:.3f}–{auroc['high']:.3f})",
        f"{row['nll']['mean']:.3f}",
        f"{ece['value']:.3f} ({ece['floor']:.3f})",
    )


def _gap(comparison: Mapping[str, Any] | None) -> str:
    """Comparisons are first minus second; a row shows itself minus the first."""
    if comparison is None:
        return ""
    gap = comparison["auroc"]
    # 0.0 + … turns the −0 that rounding leaves into 0.
    mean, low, high = (0.0 + round(-gap[end], 3) for end in ("mean", "high", "low"))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _audits(task: str, audits: Sequence[Mapping[str, Any]], sentences: Sequence[str]) -> Block:
    names = list(audits[0]["shortcuts"])
    head = ("shots", *(TITLES[name] for name in names))
    rows = [
        (str(a["shots"]), *(f"{a['shortcuts'][n]['auroc']['mean']:.3f}" for n in names))
        for a in audits
        if names
    ]
    notes = list(sentences)
    if same := audits[0]["same_in_every_case"]:
        called = ", ".join(TITLES[name] for name in same)
        notes.append(f"The same in every case, tells nothing: {called}.")
    notes.append(_permuted(audits))
    return Block(f"{task}: AUROC without looking at the tissue", head, tuple(rows), tuple(notes))


def _permuted(audits: Sequence[Mapping[str, Any]]) -> str:
    seen = {m: p for a in audits for m, p in a["permuted_labels"].items()}
    judged = [p["at_chance"] for a in audits for p in a["permuted_labels"].values()]
    if None in judged:
        return "Permuted labels: too few episodes to tell chance from more."
    off = [m for m in seen if any(not a["permuted_labels"][m]["at_chance"] for a in audits)]
    if off:
        return f"Permuted labels: not at chance: {', '.join(off)}."
    return "Permuted labels: every mapper is at chance, as it must be."
