"""Checkpoints: zip archives with a pickle that must build tensors and nothing else."""

import pickletools
import zipfile
from collections.abc import Iterator

from medfs.export.audit.findings import Finding
from medfs.export.audit.trees import MOST_READ, Entry

# What `torch.load(weights_only=True)` needs for a plain state dict, and no more.
_HARMLESS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    "torch.serialization _get_layout",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Bool")),
    *(f"torch {kind}Storage" for kind in ("Long", "Int", "Short", "Char", "Byte")),
}
_CODE = ("code/", ".debug_pkl", "constants.pkl")


def audit_checkpoint(entry: Entry) -> list[Finding]:
    """A .pt, .pth or .ckpt file: which names its pickle would import."""
    if entry.read(4)[:2] != b"PK":
        return [Finding(entry.name, "old pickle", "A bare pickle runs code when it is loaded")]
    try:
        with entry.open() as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(part in name for name in names for part in _CODE):
                return [Finding(entry.name, "TorchScript", "It holds code, not weights alone")]
            members = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
            # Tensors lie beside the pickle, which names them alone: it is small.
            if (size := sum(info.file_size for info in members)) > MOST_READ:
                return [Finding(entry.name, "not looked at", f"A pickle of {size} bytes")]
            pickles = [archive.read(info) for info in members]
        found = sorted({name for data in pickles for name in _imports(data)} - _HARMLESS)
    except Exception as error:  # damaged archives and pickles raise anything
        return [Finding(entry.name, "unreadable", f"{type(error).__name__}: {error}"[:200])]
    if not pickles:
        return [Finding(entry.name, "unreadable", "There is no pickle in the archive")]
    return [Finding(entry.name, "pickle runs code", f"It would import {name}") for name in found]


def _imports(data: bytes) -> Iterator[str]:
    """Names that the pickle would import, as `module name`."""
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif opcode.name == "STACK_GLOBAL":
            # torch.save writes protocol 2, with names in the open; on the stack they can be hidden.
            yield "a name that is put together on the stack"
        elif opcode.name in ("EXT1", "EXT2", "EXT4"):
            yield f"extension {argument}"
