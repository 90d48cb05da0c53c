"""How good a model made from few cases may be, as figures with intervals and in plain words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from medfs.calibration.learning_curve import LearningCurve, learning_curve
from medfs.calibration.operating_point import operating_point, recalls
from medfs.core.episodes import SupportSet
from medfs.workflows.fit import Fitted


@dataclass(frozen=True)
class AskedPoint:
    """A sensitivity that was asked for one class."""

    positive: str
    target: float

    def described(self, support: SupportSet, fitted: Fitted) -> dict[str, Any]:
        """The threshold and what it does to left-out patients.

        Raises:
            CalibrationError: these cases cannot promise it.
        """
        point = operating_point(
            fitted.held_out,
            fitted.calibrated.calibration,
            support.class_names,
            self.positive,
            self.target,
        )
        return asdict(point)


@torch.no_grad()
def estimates(
    support: SupportSet, fitted: Fitted, seed: int, point: AskedPoint | None = None
) -> dict[str, Any]:
    """What report.json says beside the AUROC: recalls, a learning curve, an operating point.

    Raises:
        CalibrationError: the cases cannot promise the sensitivity that was asked for.
    """
    curve = learning_curve(support, fitted.used.mapper, seed)
    held_out = fitted.held_out
    found = (
        None
        if held_out is None
        else {
            name: asdict(share)
            for name, share in recalls(
                held_out, fitted.calibrated.calibration, support.class_names
            ).items()
        }
    )
    return {
        "recall_of_left_out_cases": found,
        "learning_curve": None if curve is None else _described(curve),
        "operating_point": None if point is None else point.described(support, fitted),
    }


def _described(curve: LearningCurve) -> dict[str, Any]:
    plain = asdict(curve)
    return {**plain, "patients": list(curve.patients), "aurocs": list(curve.aurocs)}


def verdict(report: Mapping[str, Any]) -> str:
    """The sentences that `adapt` prints about performance."""
    lines = [
        _ranking(report),
        _recall(report),
        _point(report.get("operating_point")),
        _more(report.get("learning_curve")),
    ]
    return "\n".join(line for line in lines if line)


def _ranking(report: Mapping[str, Any]) -> str:
    classes = " + ".join(f"{c['patients']} {name}" for name, c in report["classes"].items())
    performance = report["performance_on_support"]
    if performance is None:
        return f"{classes} patients: too few to say how well the classifier ranks"
    of = "AUROC" if len(performance["pairs"]) == 1 else "mean AUROC of the pairs of classes"
    low, high = performance["low"], performance["high"]
    chance = "; not shown to be better than chance" if low <= 0.5 <= high else ""
    return (
        f"{classes} patients: {of} {performance['auroc']:.2f} with pairs left out, could be "
        f"anywhere from {low:.2f} to {high:.2f}{chance}"
    )


def _recall(report: Mapping[str, Any]) -> str:
    found = report.get("recall_of_left_out_cases")
    if not found:
        return ""
    parts = (
        f"{name} {s['value']:.0%} ({s['low']:.0%} to {s['high']:.0%})" for name, s in found.items()
    )
    return f"left-out cases recognised: {', '.join(parts)}"


def _point(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return ""
    found, spared = point["sensitivity"], point["specificity"]
    return (
        f"{point['positive']} from a probability of {point['threshold']:.3f}: "
        f"left-out patients found "
        f"{found['value']:.0%} ({found['low']:.0%} to {found['high']:.0%}), others spared "
        f"{spared['value']:.0%} ({spared['low']:.0%} to {spared['high']:.0%})"
    )


def _more(curve: Mapping[str, Any] | None) -> str:
    if curve is None:
        return ""
    few, many = curve["patients"][0], curve["patients"][-1]
    went = f"from {few} to {many} patients per class the left-out AUROC went from "
    went += f"{curve['aurocs'][0]:.2f} to {curve['aurocs'][-1]:.2f}"
    if curve["low"] > 0:
        return f"{went}: more cases are likely to help"
    return f"{went}, a change within its own uncertainty: whether more cases help cannot be told"
