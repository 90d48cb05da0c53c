"""Every extension point and what medfs itself brings to it; listing imports nothing."""

from medfs.core.registry import Registry

READERS = Registry(
    "reader",
    None,
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
        "layout": ("medfs.features.layout:Layout", "what is where in the patch, without a mask"),
        "stages": ("medfs.features.stages:stages", "medfs's small encoder, meta-trained"),
        "resnet10": ("medfs.features.backbones:resnet10", "MONAI 3D ResNet-10, your weights"),
        "resnet18": ("medfs.features.backbones:resnet18", "MONAI 3D ResNet-18, your weights"),
        "resnet34": ("medfs.features.backbones:resnet34", "MONAI 3D ResNet-34, your weights"),
        "resnet50": ("medfs.features.backbones:resnet50", "MONAI 3D ResNet-50, your weights"),
        "densenet121": (
            "medfs.features.backbones:densenet121",
            "MONAI 3D DenseNet-121, your weights",
        ),
        "swin_unetr": (
            "medfs.features.backbones:swin_unetr",
            "encoder of MONAI's SwinUNETR, your weights",
        ),
        "bundle": (
            "medfs.features.bundles.backbone:bundle",
            "network of a local MONAI bundle, with its weights",
        ),
    },
)

MAPPERS = Registry(
    "mapper",
    "medfs.mappers",
    {
        "prototype": ("medfs.mappers.prototype:Prototype", "nearest class mean (Snell 2017)"),
        "simpleshot": ("medfs.mappers.simpleshot:SimpleShot", "nearest by angle (Wang 2019)"),
        "ridge": ("medfs.mappers.ridge:Ridge", "ridge, penalty from patients left out"),
        "r2d2": ("medfs.mappers.r2d2:R2D2", "ridge, penalty learned (Bertinetto 2019)"),
        "simple-cnaps": (
            "medfs.mappers.simple_cnaps:SimpleCNAPS",
            "class covariances, modulation (Bateni 2020)",
        ),
        "maml": ("medfs.mappers.maml:MAML", "gradient steps, learned start (Finn 2017)"),
        "meta-sgd": ("medfs.mappers.meta_sgd:MetaSGD", "gradient steps, learned rates (Li 2017)"),
        "anil": ("medfs.mappers.anil:ANIL", "gradient steps of the head alone (Raghu 2020)"),
        "hyper": ("medfs.mappers.hyper:Hyper", "θ written by a set encoder"),
        "linear-probe": (
            "medfs.mappers.linear_probe:LinearProbe",
            "logistic regression (Tian 2020)",
        ),
        "feat": ("medfs.mappers.feat:FEAT", "prototypes adapted as a set (Ye 2020)"),
        "distribution-calibration": (
            "medfs.mappers.distribution_calibration:DistributionCalibration",
            "spreads borrowed from known classes (Yang 2021)",
        ),
        "relation": ("medfs.mappers.relation:Relation", "learned comparison (Sung 2018)"),
        "svm": ("medfs.mappers.svm:SVM", "support vectors, differentiated through (Lee 2019)"),
        "mixture": ("medfs.mappers.mixture:Mixture", "ridge experts, averaged by their evidence"),
    },
)

CALIBRATORS = Registry(
    "calibrator",
    None,
    {
        "none": ("medfs.calibration.temperature:fit_none", "logits as they are"),
        "prior": ("medfs.calibration.temperature:fit_prior", "the mapper's own temperature"),
        "temperature": ("medfs.calibration.temperature:fit_scalar", "one temperature (Guo 2017)"),
        "vector": ("medfs.calibration.vector:fit_vector", "a scale and bias per class (Guo 2017)"),
        "dirichlet": ("medfs.calibration.dirichlet:fit_dirichlet", "a matrix (Kull 2019)"),
    },
)

EXPORTERS = Registry(
    "exporter",
    None,
    {
        "model": ("medfs.export.model_folder:write_model", "medfs model folder"),
        "bundle": ("medfs.workflows.bundle:write_bundle", "MONAI bundle, audited"),
        "onnx": ("medfs.export.programs:to_onnx", "patch to probabilities, for ONNX Runtime"),
        "pt2": ("medfs.export.programs:to_pt2", "patch to probabilities, for torch alone"),
    },
)
