"""What a bundle's configuration files hold, as plain data.

The one expression is the `run` entry; nothing else is evaluated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medfs.export.bundle.network import CHANNELS

VERSION = "1.0.0"
MODEL = "models/medfs"
CHECKPOINT = "models/model.pt"


@dataclass(frozen=True)
class BundleFacts:
    """What the files of a bundle say of its model.

    Attributes:
        name: of the bundle; holds `classification`, by which MONAI Label knows its kind.
        class_names: in the order of the output.
        shape: grid points of a patch.
        preset: plain data of the preset.
        reading: rules for DICOM series.
        mask_label: region in masks that hold several.
        use_masks: whether the model was made from marked regions.
        versions: of the packages that it needs.
        description: one sentence.
    """

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    preset: Mapping[str, Any]
    reading: Mapping[str, Any]
    mask_label: str | None
    use_masks: bool
    versions: Mapping[str, str]
    description: str


def metadata(facts: BundleFacts, modality: str) -> dict[str, Any]:
    """`metadata.json`, after MONAI's schema of 2024-07-25."""
    versions = dict(facts.versions)
    core = {key: versions.pop(key) for key in ("monai", "torch", "numpy")}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/"
        "0.8.1/meta_schema_20240725.json",
        "version": VERSION,
        "changelog": {VERSION: "as adapted"},
        "monai_version": core["monai"],
        "pytorch_version": core["torch"],
        "numpy_version": core["numpy"],
        "required_packages_version": versions,
        "name": facts.name,
        "task": "Classification of a region in a 3D scan, from a few labelled cases",
        "description": facts.description,
        "authors": "whoever adapted the model",
        "copyright": "of whoever adapted the model",
        "data_source": "a support set of labelled scans; no scan is in the bundle",
        "data_type": "nibabel, dicom",
        "image_classes": "one channel of intensities, one of the region, three of spacing",
        "label_classes": ", ".join(facts.class_names),
        "pred_classes": ", ".join(facts.class_names),
        "eval_metrics": {},
        "intended_use": "Research use only; not a medical device.",
        "references": ["Radiomics: Zwanenburg et al., Radiology 295 (2020)"],
        "network_data_format": _network_format(facts, modality),
    }


def _network_format(facts: BundleFacts, modality: str) -> dict[str, Any]:
    image = {
        "type": "image",
        "format": "intensity",
        "modality": modality,
        "num_channels": len(CHANNELS),
        "spatial_shape": list(facts.shape),
        "dtype": "float32",
        "value_range": [-10.0, 10.0],
        "is_patch_data": False,
        "channel_def": {str(i): name for i, name in enumerate(CHANNELS)},
    }
    pred = {
        "type": "probabilities",
        "format": "classes",
        "num_channels": len(facts.class_names),
        "spatial_shape": [],
        "dtype": "float32",
        "value_range": [0.0, 1.0],
        "is_patch_data": False,
        "channel_def": {str(i): name for i, name in enumerate(facts.class_names)},
    }
    return {"inputs": {"image": image}, "outputs": {"pred": pred}}


def inference(facts: BundleFacts) -> dict[str, Any]:
    """`inference.json`: scans in a folder → a CSV of probabilities."""
    return {
        "bundle_root": ".",
        "dataset_dir": "scans",
        "output_dir": "eval",
        "device": {"_target_": "torch.device", "device": "cpu"},
        "model": _inside(MODEL),
        "checkpoint": _inside(CHECKPOINT),
        "network_def": {
            "_target_": "medfs.workflows.bundle.network",
            "model": "@model",
            "device": "@device",
        },
        "data": {
            "_target_": "medfs.workflows.bundle.cases",
            "folder": "@dataset_dir",
            "model": "@model",
        },
        "preprocessing": {"_target_": "Compose", "transforms": _preprocessing(facts)},
        "dataset": {"_target_": "Dataset", "data": "@data", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "num_workers": 0,
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "SaveClassificationd",
                    "keys": "pred",
                    "meta_keys": "image_meta_dict",
                    "output_dir": "@output_dir",
                    "filename": "predictions.csv",
                    "overwrite": True,
                }
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "@checkpoint",
                "load_dict": {"model": "@network_def"},
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }


def _inside(name: str) -> dict[str, Any]:
    return {"_target_": "medfs.workflows.bundle.inside", "root": "@bundle_root", "name": name}


def _preprocessing(facts: BundleFacts) -> Sequence[dict[str, Any]]:
    label = {"mask_label": facts.mask_label} if facts.mask_label is not None else {}
    load = {
        "_target_": "medfs.scans.monai.LoadScand",
        "keys": ["image"],
        "mask_keys": ["mask"] if facts.use_masks else [],
        **label,
        **facts.reading,
    }
    cut = {
        "_target_": "medfs.preprocess.transforms.MakePatchd",
        "keys": "image",
        "preset": dict(facts.preset),
        "file_key": "file",
    }
    stack = {"_target_": "medfs.preprocess.transforms.PatchToChannelsd", "keys": "image"}
    return [load, cut, stack]


def training() -> dict[str, Any]:
    """`train.json`: a new support folder → a new model folder, adapted as this one was."""
    return {
        "bundle_root": ".",
        "dataset_dir": "cases",
        "output_dir": "model",
        "model": _inside(MODEL),
        "trainer": {
            "_target_": "medfs.workflows.bundle.Readapt",
            "support": "@dataset_dir",
            "out": "@output_dir",
            "model": "@model",
        },
        "run": ["$@trainer.run()"],
    }


LOGGING = """[loggers]
keys=root

[handlers]
keys=consoleHandler

[formatters]
keys=fullFormatter

[logger_root]
level=INFO
handlers=consoleHandler

[handler_consoleHandler]
class=StreamHandler
level=INFO
formatter=fullFormatter
args=(sys.stdout,)

[formatter_fullFormatter]
format=%(asctime)s - %(name)s - %(levelname)s - %(message)s
"""
