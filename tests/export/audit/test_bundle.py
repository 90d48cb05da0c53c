"""A small corpus of attacks, each of which must be named, and a clean bundle, which must pass."""

import io
import json
import pickle
import shutil
import zipfile
from hashlib import sha256

import pytest
import torch
from safetensors.torch import save

from medfs.core.errors import ScanReadError
from medfs.export.audit.bundle import audit_bundle
from medfs.export.audit.trees import MOST_READ

METADATA = {
    "version": "1.0.0",
    "monai_version": "1.6.1",
    "pytorch_version": "2.10.0",
    "task": "classification",
    "description": "clean",
    "network_data_format": {},
}
INFERENCE = {
    "device": {"_target_": "torch.device", "device": "cpu"},
    "network_def": {"_target_": "DenseNet121", "spatial_dims": 3, "in_channels": 1},
    "inferer": {"_target_": "monai.inferers.SimpleInferer"},
    "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network_def"},
    "run": ["$@evaluator.run()"],
}


@pytest.fixture
def clean(tmp_path):
    root = tmp_path / "Bundle"
    (root / "configs").mkdir(parents=True)
    (root / "docs").mkdir()
    (root / "models").mkdir()
    (root / "LICENSE").write_text("Apache-2.0\n")
    (root / "docs" / "README.md").write_text("# Bundle\n")
    (root / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    (root / "configs" / "inference.json").write_text(json.dumps(INFERENCE))
    torch.save(torch.nn.BatchNorm1d(3).state_dict(), root / "models" / "model.pt")
    (root / "models" / "model.safetensors").write_bytes(save({"w": torch.ones(3)}))
    sums = "".join(
        f"{sha256((root / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("LICENSE", "models/model.pt")
    )
    (root / "SHA256SUMS").write_text(sums)
    return root


def config(root, **changes):
    path = root / "configs" / "inference.json"
    path.write_text(json.dumps({**INFERENCE, **changes}))


def kinds(root):
    return {finding.what for finding in audit_bundle(root)}


def test_a_clean_bundle_passes_as_a_folder_and_as_a_zip(clean, tmp_path):
    assert audit_bundle(clean) == ()
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "Bundle")
    assert audit_bundle(tmp_path / "packed.zip") == ()
    assert packed


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.Popen",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "torch.jit.load",
        "monai.bundle.run",
        "monai.data.utils.os.system",
        "monai.transforms.utils.torch.load",
        "monai.networks.nets.resnet.load_hub",
        "numpy.load",
        "optional_import",
        "medfs.scans.dicom.sandbox.run",
        "monai.apps.download_url",
    ],
)
def test_targets_outside_the_allow_list(clean, target):
    config(clean, network_def={"_target_": target, "command": "true"})
    assert kinds(clean) == {"foreign target"}


@pytest.mark.parametrize("target", ["$__import__('os').system", "@device", "%other.json::name"])
def test_targets_that_are_computed(clean, target):
    config(clean, network_def={"nested": [{"_target_": target}]})
    assert kinds(clean) == {"computed target"}


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "$__import__('os').system('true')"},
        {"run": ["$@evaluator.run() or exit()"]},
        {"value": "$@evaluator.run()"},
        {"imports": ["$import os"]},
        {"deep": {"a": [{"b": "$1 + 1"}]}},
    ],
)
def test_expressions(clean, changes):
    config(clean, **changes)
    assert kinds(clean) == {"expression"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("../../etc/passwd", "path traversal"),
        ("models\\..\\..\\secrets", "path traversal"),
        ("%../other.json::run", "path traversal"),
        ("/home/mueller/scans", "personal path"),
        ("C:\\Users\\mueller", "personal path"),
        ("~/scans", "personal path"),
    ],
)
def test_paths(clean, value, kind):
    config(clean, dataset_dir=value)
    assert kinds(clean) == {kind}


def test_yaml_is_read_as_data(clean):
    (clean / "configs" / "train.yaml").write_text("a: !!python/object/apply:os.system ['true']\n")
    assert kinds(clean) == {"unreadable"}


class Attack:
    def __reduce__(self):
        import os

        return os.system, ("true",)


def test_a_pickle_beyond_a_state_dict(clean):
    torch.save({"w": torch.ones(2), "x": Attack()}, clean / "models" / "model.pt")
    assert kinds(clean) == {"pickle runs code", "hash mismatch"}
    (clean / "models" / "model.pt").write_bytes(pickle.dumps(Attack()))
    assert "old pickle" in kinds(clean)


@pytest.mark.parametrize("harmful", [True, False])
def test_checkpoints_larger_than_what_is_read_whole(clean, tmp_path, harmful):
    (clean / "large_files.yml").write_text("large_files:\n- path: models/huge.pt\n")
    state = {"w": torch.zeros(17 * 2**20, dtype=torch.bfloat16), "v": torch.zeros(17 * 2**19)}
    torch.save({**state, "more": print} if harmful else state, clean / "models" / "huge.pt")
    assert (clean / "models" / "huge.pt").stat().st_size > MOST_READ
    expected = {"pickle runs code"} if harmful else set()
    assert kinds(clean) == expected
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        for path in clean.rglob("*.*"):
            archive.write(path, f"Bundle/{path.relative_to(clean)}")
        archive.write(clean / "LICENSE", "Bundle/LICENSE")
    assert kinds(tmp_path / "packed.zip") == expected


def test_a_pickle_too_large_to_look_at(clean):
    with zipfile.ZipFile(clean / "models" / "more.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(MOST_READ + 1))
    assert kinds(clean) == {"not looked at"}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_pickles_of_every_protocol(clean, protocol):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Attack(), protocol))
    (clean / "models" / "more.pt").write_bytes(content.getvalue())
    assert kinds(clean) == {"pickle runs code"}


def test_a_whole_module_and_torchscript_are_code(clean):
    torch.save(torch.nn.Linear(2, 2), clean / "models" / "more.pt")
    assert kinds(clean) == {"pickle runs code"}
    with zipfile.ZipFile(clean / "models" / "more.pt", "w") as archive:
        archive.writestr("model/code/__torch__.py", "def forward(): pass")
        archive.writestr("model/data.pkl", pickle.dumps({}))
    assert kinds(clean) == {"TorchScript"}


def test_a_changed_or_missing_file(clean):
    (clean / "LICENSE").write_text("another\n")
    assert kinds(clean) == {"hash mismatch"}
    (clean / "LICENSE").unlink()
    assert kinds(clean) == {"missing"}


def test_headers_that_lie(clean):
    path = clean / "models" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes((2**62).to_bytes(8, "little") + content[8:])
    assert kinds(clean) == {"oversized header"}
    path.write_bytes(content + b"more")
    assert kinds(clean) == {"size mismatch"}
    path.write_bytes(b"12")
    assert kinds(clean) == {"oversized header"}


def test_files_that_have_no_place(clean):
    (clean / "setup.py").write_text("print()")
    assert kinds(clean) == {"code"}
    (clean / "setup.py").rename(clean / "scan.dcm")
    assert kinds(clean) == {"unknown kind"}


def test_links(clean):
    (clean / "docs" / "more.md").symlink_to("/etc/passwd")
    (clean / "more").symlink_to("/etc")
    assert kinds(clean) == {"link"}


def test_large_files_are_announced(clean):
    with (clean / "models" / "huge.onnx").open("wb") as file:
        file.truncate(26 * 10**6)
    assert kinds(clean) == {"large file"}
    (clean / "large_files.yml").write_text("large_files:\n- path: models/huge.onnx\n")
    assert kinds(clean) == set()


@pytest.mark.parametrize("name", ["../evil.md", "/etc/evil.md", "a/../../evil.md", "C:evil.md"])
def test_zip_members_that_lead_out(clean, tmp_path, name):
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "Bundle")
    with zipfile.ZipFile(tmp_path / "packed.zip", "a") as archive:
        archive.writestr(name, "x")
    assert kinds(tmp_path / "packed.zip") == {"path traversal"}


def test_a_bomb_and_a_name_twice(clean, tmp_path):
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "Bundle")
    with zipfile.ZipFile(tmp_path / "packed.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Bundle/docs/zeros.txt", bytes(30_000_000))
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("Bundle/LICENSE", "another")
    # Of two files with one name the last is read.
    assert kinds(tmp_path / "packed.zip") == {"bomb", "name twice", "hash mismatch"}


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all"])
def test_what_is_no_bundle(tmp_path, content):
    with pytest.raises(ScanReadError):
        audit_bundle(tmp_path / "absent")
    (tmp_path / "file.zip").write_bytes(content)
    with pytest.raises(ScanReadError, match="cannot be read as a zip"):
        audit_bundle(tmp_path / "file.zip")


def test_deep_and_broken_configurations_are_findings(clean):
    deep = "[" * 100_000 + "]" * 100_000
    (clean / "configs" / "deep.json").write_text(deep)
    assert kinds(clean) == {"unreadable"}
    (clean / "configs" / "deep.json").write_bytes(b"\xff\xfe")
    assert kinds(clean) == {"unreadable"}
    (clean / "configs" / "deep.json").write_text(json.dumps([[[]]] * 3) + "}")
    assert kinds(clean) == {"unreadable"}
