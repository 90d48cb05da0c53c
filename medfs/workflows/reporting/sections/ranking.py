"""How well held-out probabilities separate the classes."""

from medfs.metrics.curves import precision_recall_curve, roc_curve
from medfs.metrics.discrimination import auroc
from medfs.reporting.values import Band, Block, Chart, Charts, Line, Paragraph, Section
from medfs.workflows.reporting.sections.wording import HELD_OUT, NOTHING_HELD_OUT
from medfs.workflows.reporting.subject import HeldOut, Subject

_INTERVAL = "95% interval of every point"


def ranking(subject: Subject) -> Section:
    """ROC and precision-recall curve of each class; those of one are enough for two classes."""
    held_out = subject.held_out
    blocks: tuple[Block, ...] = (Paragraph(NOTHING_HELD_OUT),)
    if held_out is not None:
        made = (_roc, _precision_recall)
        charts = (
            make(held_out, k, subject.class_names[k]) for k in subject.watched for make in made
        )
        blocks = (Paragraph(HELD_OUT), Charts(tuple(charts)))
    return Section("ranking", "Does it tell the classes apart?", blocks)


def _roc(held_out: HeldOut, label: int, name: str) -> Chart:
    scores, positive = held_out.probabilities[:, label], held_out.labels == label
    curve = roc_curve(scores, positive)
    area = auroc(scores, positive)
    words = (
        f"Of {int(positive.sum())} cases of {name} the share found, against the share of "
        f"{int((~positive).sum())} other cases taken for it, at every threshold. Area {area:.2f}; "
        "guessing has 0.50. Scores of different rounds are compared here, so the area may differ "
        "a little from the one at the top."
    )
    alarms, found = curve.false_alarms.tolist(), curve.sensitivity.tolist()
    # Several thresholds with the same false alarms: the curve goes up to the last of them.
    limits = dict(zip(alarms, curve.sensitivity_limits.tolist(), strict=True))
    layers = (
        Band(tuple((x, low, high) for x, (low, high) in limits.items()), name=_INTERVAL),
        Line(((0.0, 0.0), (1.0, 1.0)), "chance", "guessing"),
        Line(tuple(zip(alarms, found, strict=True)), "curve", "held-out cases", steps=True),
    )
    axes = ("Others taken for it (1 − specificity)", "Found (sensitivity)")
    return Chart(f"ROC curve of {name}", words, *axes, layers)


def _precision_recall(held_out: HeldOut, label: int, name: str) -> Chart:
    scores, positive = held_out.probabilities[:, label], held_out.labels == label
    curve = precision_recall_curve(scores, positive, held_out.weights)
    share = float(held_out.shares[label])
    words = (
        f"Of the cases taken for {name} the share that is {name}, against the share of {name} "
        f"that is found, at every threshold, where {share:.3g} of all cases are {name}: that is "
        "what guessing reaches; where it is rarer the curve lies lower."
    )
    found, right = curve.recall.tolist(), curve.precision.tolist()
    limits = curve.precision_limits.tolist()
    band = tuple((x, low, high) for x, (low, high) in zip(found, limits, strict=True))
    layers = (
        Band(band, name=_INTERVAL),
        Line(((0.0, share), (1.0, share)), "chance", "guessing"),
        Line(tuple(zip(found, right, strict=True)), "curve", "held-out cases"),
    )
    axes = ("Found (recall)", "Right among those taken for it (precision)")
    return Chart(f"Precision and recall of {name}", words, *axes, layers)
