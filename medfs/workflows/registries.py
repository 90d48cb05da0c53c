"""Every extension point and what medfs itself brings to it; listing imports nothing."""

from medfs.core.registry import Registry

READERS = Registry(
    "reader",
    "medfs.readers",
    {
        "dicom": ("medfs.scans.dicom:read_series", "folder holding one DICOM series"),
        "nifti": ("medfs.scans.nifti:read_nifti", "NIfTI-1 and -2, .nii and .nii.gz"),
    },
)

BACKBONES = Registry(
    "feature extractor",
    "medfs.backbones",
    {
        "radiomics": ("medfs.features.radiomics:Radiomics", "radiomics of the region, in torch"),
        "resnet10": ("medfs.features.backbones:resnet10", "MONAI 3D ResNet-10, your weights"),
        "resnet18": ("medfs.features.backbones:resnet18", "MONAI 3D ResNet-18, your weights"),
    },
)

MAPPERS = Registry(
    "mapper",
    "medfs.mappers",
    {
        "prototype": ("medfs.mappers.prototype:Prototype", "nearest class mean (Snell 2017)"),
        "ridge": ("medfs.mappers.ridge:Ridge", "closed-form ridge (R2-D2, Bertinetto 2019)"),
    },
)

CALIBRATORS = Registry(
    "calibrator",
    "medfs.calibrators",
    {
        "temperature": (
            "medfs.calibration.temperature:fit_temperature",
            "one temperature, maximum a posteriori",
        )
    },
)

EXPORTERS = Registry(
    "exporter",
    "medfs.exporters",
    {"model": ("medfs.export.model_folder:write_model", "medfs model folder")},
)
