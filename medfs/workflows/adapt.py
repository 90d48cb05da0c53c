"""Labelled cases → a model folder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from medfs.calibration.choice import AUTO as AUTO_CALIBRATOR
from medfs.calibration.choice import check_calibrator
from medfs.calibration.guard import foreign_cases, learn_guard
from medfs.calibration.performance import leave_pair_out_auroc
from medfs.core.threads import single_thread
from medfs.export.model_folder import ModelContent, write_model
from medfs.preprocess.presets import Preset
from medfs.storage.files import check_new
from medfs.storage.tensors import TensorCache
from medfs.workflows.asked import Asked
from medfs.workflows.candidates import at_home, candidates, extractors
from medfs.workflows.components import (
    Weights,
    build_encoders,
    choose_device,
    choose_preset,
    encoder_weights,
)
from medfs.workflows.embed import Embedder, Failed, embed_all
from medfs.workflows.feature_choice import choose
from medfs.workflows.fit import support_set
from medfs.workflows.guard import describe, signal, warnings_of
from medfs.workflows.held_out import held_out
from medfs.workflows.recipes import AUTO
from medfs.workflows.registries import BACKBONES
from medfs.workflows.report import describe_support, list_cases, warn_of
from medfs.workflows.screening import keep_usable, masks_of_all_or_none, need_two_classes
from medfs.workflows.sets import CROSS, check_kind, local_sets, sets_setting
from medfs.workflows.site import site_rows
from medfs.workflows.sources import FileSource
from medfs.workflows.support_verdict import AskedPoint, estimates
from medfs.workflows.unfamiliar import warn_of_guard


@dataclass(frozen=True)
class AdaptRequest:
    """What `medfs adapt` is asked for; defaults are those of the command line.

    `unlabelled` are scans of the same site and kind, from which the mapper learns how far features
    usually spread there. `point` asks for a threshold with a sensitivity.
    """

    support: Path
    out: Path
    unlabelled: Path | None = None
    mapper: str = AUTO
    features: tuple[str, ...] = (AUTO,)
    preset: str | Preset = "auto"
    calibrator: str = AUTO_CALIBRATOR
    sets: str = CROSS
    seed: int = 0
    device: str = "auto"
    weights: Weights = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)
    use_masks: bool = True
    use_cache: bool = True
    point: AskedPoint | None = None


@dataclass(frozen=True)
class AdaptResult:
    """What was written, and what the user should know about it."""

    out: Path
    report: dict[str, Any]
    warnings: tuple[str, ...]
    failed: tuple[Failed, ...]


def adapt(request: AdaptRequest, progress: Callable[[int], None] = lambda _: None) -> AdaptResult:
    """Read the support, map it to a classifier, calibrate it, write the model folder.

    Raises:
        UserError: what cannot be used, and why. Nothing is written then.
    """
    check_new(request.out)
    check_calibrator(request.calibrator)
    check_kind(request.sets)
    device = choose_device(request.device)
    names = extractors(request.features, request.weights)
    encoders = build_encoders(names, request.weights, device)
    asked = candidates(request.features, encoders, request.mapper)
    cohort = need_two_classes(request.asked.cohort(request.support))
    use_masks = request.use_masks and masks_of_all_or_none(cohort)
    # By id: the same cases give the same bytes, in whatever order a manifest lists them.
    in_order = sorted(cohort.cases, key=lambda case: case.case_id)
    sources = [FileSource(case, use_masks, request.asked.reading) for case in in_order]
    preset, reason = choose_preset(request.preset, sources)
    cache = TensorCache.default() if request.use_cache else TensorCache(None)
    embedder = Embedder(encoders, preset, device=device, cache=cache)
    done, failed = embed_all(embedder, sources, progress)
    kept = keep_usable(cohort, done, failed)
    unused: list[Failed] = []
    if request.unlabelled is not None:
        rows, unused = site_rows(request.unlabelled, request.asked, use_masks, embedder, progress)
        asked = (asked[0].at_site(rows), *asked[1:])
    else:
        # With unlabelled scans it is the mapper that they were given for.
        asked = at_home(asked, use_masks or preset.knows_the_finding)

    support = support_set(
        [d.features for d in done],
        [str(d.case.label) for d in done],
        [d.case.patient_id for d in done],
    )
    with single_thread(), torch.no_grad():
        choice = choose(support, asked, request.seed, request.calibrator)
        support, fitted = choice.support, choice.fitted
        performance = leave_pair_out_auroc(support, fitted.used.mapper, request.seed)
        told_of_support = estimates(support, fitted, request.seed, request.point)
        measured = [d.measured for d in done]
        local = local_sets(support, fitted.used, request.sets, request.seed)
        guard = learn_guard(support, measured)
        foreign = foreign_cases(support, measured)

    settings = {
        "mapper": fitted.used.identity,
        "mapper_reason": fitted.reason,
        "calibrator": fitted.calibrator.name,
        "calibrator_reason": fitted.calibrator.reason,
        "seed": request.seed,
        "use_masks": use_masks,
        "preset": preset.name,
        "preset_reason": reason,
        "reading": request.asked.reading.to_dict(),
        "mask_label": request.asked.mask_label,
        "operating_point": told_of_support["operating_point"],
        "packages": BACKBONES.packages(choice.names),
    }
    remembered = settings | sets_setting(local)
    told = signal(support, fitted.log_likelihood)
    warnings = warn_of(kept, performance, failed, use_masks) + warnings_of(fitted.verdict, told)
    warnings += warn_of_guard(guard, foreign, done, preset)
    shown = {**settings, "task_guard": describe(fitted.verdict, told)}
    report = describe_support(
        support, fitted.calibrated, performance, shown, warnings, done, failed
    )
    report |= choice.described() | told_of_support
    report |= held_out(support, fitted, request.seed)
    weights = encoder_weights(choice.encoders)
    content = ModelContent(
        fitted.calibrated, choice.names, weights, preset.to_dict(), remembered, report, guard
    )
    write_model(request.out, content, {"cases.csv": list_cases(done, failed), **local})
    return AdaptResult(request.out, report, warnings, (*failed, *unused))
