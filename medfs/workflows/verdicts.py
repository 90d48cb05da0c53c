"""What the audits mean, in sentences for people who read scans."""

from collections.abc import Mapping, Sequence
from typing import Any

# What a shortcut is called, and what a classifier may be doing that does not beat it.
TITLES = {
    "extent": "field of view",
    "spacing": "voxel spacing",
    "array_size": "array size",
    "roi_volume": "ROI volume",
    "padding": "padding",
}
_SUSPICIONS = {
    "extent": "it may only see how the scans were cropped",
    "spacing": "it may only tell scanners or protocols apart",
    "array_size": "it may only see how the scans were acquired or cropped",
    "roi_volume": "it may only measure size",
    "padding": "it may only see how close the finding lies to the edge of the scan",
}


def verdicts(
    rows: Sequence[Mapping[str, Any]], audits: Sequence[Mapping[str, Any]], features: str
) -> list[dict[str, Any]]:
    """One verdict per task and mapper.

    A shortcut counts where its own interval lies above chance; it is beaten where the paired
    difference to the classifier has its interval above zero.

    Args:
        rows: `results` of results.json.
        audits: `audits` of results.json.
        features: what the mappers read, as it is to be called.

    Returns:
        `task`, `mapper`, `not_beaten` (shot counts, as text, with the names of the shortcuts that
        the classifier does not beat) and `sentence`, about the largest shot count and what differs
        at the others.
    """
    judged: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        if "error" not in row:
            judged.setdefault((row["task"], row["mapper"]), {})[row["shots"]] = row
    return [
        _verdict(task, mapper, by_shots, _of_task(audits, task), features)
        for (task, mapper), by_shots in judged.items()
    ]


def _of_task(audits: Sequence[Mapping[str, Any]], task: str) -> dict[int, Mapping[str, Any]]:
    return {audit["shots"]: audit for audit in audits if audit["task"] == task}


def _verdict(
    task: str,
    mapper: str,
    rows: Mapping[int, Mapping[str, Any]],
    audits: Mapping[int, Mapping[str, Any]],
    features: str,
) -> dict[str, Any]:
    open_at = {shots: _not_beaten(audits[shots], mapper) for shots in rows}
    most = max(rows)
    called = f"{mapper} on {features}"
    sentences = [
        _about(rows[most], audits[most], open_at[most], called),
        _elsewhere(open_at, most),
        _without_labels(audits, mapper),
    ]
    return {
        "task": task,
        "mapper": mapper,
        "not_beaten": {str(shots): names for shots, names in open_at.items() if names},
        "sentence": " ".join(s for s in sentences if s),
    }


def _working(audit: Mapping[str, Any]) -> dict[str, float]:
    """AUROC of the shortcuts that rank above chance, the best one first."""
    means = {
        name: alone["auroc"]["mean"]
        for name, alone in audit["shortcuts"].items()
        if (alone["auroc"]["low"] or 0) > 0.5
    }
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _not_beaten(audit: Mapping[str, Any], mapper: str) -> list[str]:
    gaps = {n: s["classifier_minus_shortcut"][mapper] for n, s in audit["shortcuts"].items()}
    return [name for name in _working(audit) if not (gaps[name]["low"] or 0) > 0]


def _about(
    row: Mapping[str, Any], audit: Mapping[str, Any], not_beaten: Sequence[str], called: str
) -> str:
    cases, auroc = _cases(row["shots"]), row["auroc"]
    working = _working(audit)
    if not_beaten:
        best = not_beaten[0]
        clearly = "clearly " if auroc["mean"] > working[best] else ""
        return (
            f"{_capital(TITLES[best])} alone reaches AUROC {working[best]:.2f} with {cases}; "
            f"{called} ({auroc['mean']:.2f}) does not {clearly}beat it: {_SUSPICIONS[best]}."
        )
    if not (auroc["low"] or 0) > 0.5:
        return (
            f"{called} does no better than chance with {cases}: "
            f"AUROC {auroc['mean']:.2f} ({_between(auroc)})."
        )
    reached = f"{called} reaches AUROC {auroc['mean']:.2f} with {cases}"
    if not working:
        return f"{reached}; nothing known without looking at the tissue ranks these cases."
    best = next(iter(working))
    gap = audit["shortcuts"][best]["classifier_minus_shortcut"][row["mapper"]]
    return (
        f"{reached} and beats every shortcut; the best one, {TITLES[best]} alone, reaches "
        f"{working[best]:.2f} (paired difference {gap['mean']:+.3f}, {gap['low']:+.3f} to "
        f"{gap['high']:+.3f})."
    )


def _elsewhere(open_at: Mapping[int, Sequence[str]], most: int) -> str:
    """At which other shot counts shortcuts are (not) beaten."""
    here = bool(open_at[most])
    fewer = [s for s in sorted(open_at) if s != most]
    others = [s for s in fewer if bool(open_at[s]) != here]
    if here and fewer and not others:
        return f"With {_listed(fewer)} there is a shortcut that it does not beat either."
    if not others:
        return ""
    counts = _listed(others)
    if here:
        return f"With {counts} it beats every shortcut."
    best = _listed(sorted({TITLES[open_at[s][0]] for s in others}))
    return f"With {counts} it does not beat {best}."


def _without_labels(audits: Mapping[int, Mapping[str, Any]], mapper: str) -> str:
    found = {s: audit["permuted_labels"][mapper] for s, audit in sorted(audits.items())}
    off = {s: seen for s, seen in found.items() if seen["at_chance"] is False}
    if not off:
        return ""
    shots, seen = max(off.items())
    return (
        f"With permuted labels it still scores {seen['mean']:.2f} with {_cases(shots)} (99 %: "
        f"{_between(seen)}), not 0.50: it knows the classes from elsewhere than the labelled cases."
    )


def _cases(shots: int) -> str:
    return f"{shots} case{'s' if shots > 1 else ''} per class"


def _between(interval: Mapping[str, float]) -> str:
    return f"{interval['low']:.2f}–{interval['high']:.2f}"


def _listed(items: Sequence[object]) -> str:
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
