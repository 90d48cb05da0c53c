"""What a bundle tells people."""

from collections.abc import Mapping
from typing import Any

from medfs.export.bundle.configs import MODEL, BundleFacts

DATA_LICENSE = """No scan, mask, label or identifier of a case is in this bundle.

Its numbers were computed from a support set of labelled scans, whose owners' terms apply to what
is made of them. The mapper that comes with medfs was trained on synthetic volumes, on LIDC-IDRI
(CC BY 3.0) and on VesselMNIST3D (CC BY 4.0).
"""


def license_text() -> str:
    """Of what medfs brings to a bundle."""
    return (
        "The code that this bundle calls, its configuration and the mapper that comes with medfs are\n"
        "licensed under the Apache License, Version 2.0:\n"
        "https://www.apache.org/licenses/LICENSE-2.0\n\n"
        "The adapted classifier belongs to whoever made it from their cases; see data_license.txt.\n"
    )


def readme(facts: BundleFacts, report: Mapping[str, Any]) -> str:
    """`docs/README.md`: what it is, how to run it, what it is not for."""
    classes = "\n".join(
        f"| {i} | {name} | {made.get('cases', '?')} | {made.get('patients', '?')} |"
        for i, (name, made) in enumerate(_classes(facts, report))
    )
    masks = (
        "Every scan needs a mask of the finding beside it (`<case>_mask.nii.gz`)."
        if facts.use_masks
        else "Scans need no masks; the region is found as the preset says."
    )
    return f"""# {facts.name}

{facts.description}

**Research use only; not a medical device.** Made from a few cases: read `{MODEL}/report.json` for how well it
ranked cases that were left out, and how uncertain that is.

| output | class | cases | patients |
|---:|---|---:|---:|
{classes}

## Run it

Needs MONAI with `pytorch-ignite` and `fire`, and medfs, which reads the scans and cuts the patches:

    pip install 'medfs[bundle]'
    python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir SCANS --output_dir OUT

`OUT/predictions.csv` has one line per scan: its path, then the calibrated probability of each class in the order above.
{masks}

`medfs predict {MODEL} SCANS` gives the same numbers, and says of each scan whether it is like those that the model
was made from; this pipeline does not. A scan of another kind gets a number here too.

Adapt again, to cases of yours, in the way this model was adapted:

    python -m monai.bundle run --config_file configs/train.json --bundle_root . --dataset_dir CASES --output_dir NEW_MODEL

## Network

One tensor (batch, 5, {", ".join(map(str, facts.shape))}): image normalised by the preset, region, and the spacing of the grid
along x, y and z in mm as three constant channels. It returns calibrated probabilities: features, classifier and calibration
are all inside.
"""


def _classes(facts: BundleFacts, report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    made = report.get("classes", {})
    return [(name, made.get(name, {})) for name in facts.class_names]
