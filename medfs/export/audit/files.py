"""Files of a bundle by kind, their sums, sizes and headers."""

import json
import re
from collections.abc import Mapping

from medfs.export.audit.findings import Finding
from medfs.export.audit.trees import Entry

CONFIGS = (".json", ".yaml", ".yml")
CHECKPOINTS = (".pt", ".pth", ".ckpt")
_OTHERS = (".md", ".txt", ".conf", ".onnx", ".pt2", ".ts", ".safetensors", ".png", ".jpg", ".svg")
_NAMED = ("LICENSE", "SHA256SUMS", "SHA256SUMS.minisig", ".gitattributes", ".gitignore")
# What MONAI's model zoo takes without an entry in large_files.yml.
_LARGE = 25 * 10**6
_SUM = re.compile(r"^([0-9a-f]{64}) [ *](.+)$")
_LONGEST_HEADER = 100 * 2**20


def audit_kind(entry: Entry) -> list[Finding]:
    """A suffix that a bundle has no use for, and code."""
    base = entry.name.rsplit("/", 1)[-1]
    if entry.suffix in (".py", ".sh", ".so", ".dll", ".exe", ".pkl", ".pickle", ".npy", ".ipynb"):
        return [Finding(entry.name, "code", f"A {entry.suffix} file can run when it is loaded")]
    if entry.suffix == ".ts":
        return [Finding(entry.name, "TorchScript", "It holds code, which cannot be audited")]
    if entry.suffix not in (*CONFIGS, *CHECKPOINTS, *_OTHERS) and base not in _NAMED:
        return [Finding(entry.name, "unknown kind", "A bundle has no use for such a file")]
    return []


def audit_sums(files: Mapping[str, Entry]) -> list[Finding]:
    """Every SHA256SUMS holds, for the files beside and below it."""
    found = []
    for name, entry in files.items():
        if name.rsplit("/", 1)[-1] == "SHA256SUMS":
            folder = name[: -len("SHA256SUMS")]
            found += _sums(name, folder, (entry.content() or b"").decode("utf-8", "replace"), files)
    return found


def _sums(name: str, folder: str, text: str, files: Mapping[str, Entry]) -> list[Finding]:
    found = []
    for line in text.splitlines():
        matched = _SUM.match(line)
        if matched is None:
            found.append(Finding(name, "unreadable", f"Not a line of sums: {line[:80]!r}"))
            continue
        digest, listed = matched.groups()
        entry = files.get(folder + listed)
        if entry is None:
            found.append(Finding(name, "missing", f"{listed!r} is listed but not there"))
        elif entry.sha256() != digest:
            found.append(Finding(folder + listed, "hash mismatch", f"{name} lists {digest[:12]}…"))
    return found


def audit_sizes(files: Mapping[str, Entry]) -> list[Finding]:
    """Files over 25 MB are announced in large_files.yml, as the model zoo asks."""
    listed = files.get("large_files.yml") or files.get("large_files.yaml")
    text = (listed.content() or b"").decode("utf-8", "replace") if listed else ""
    return [
        Finding(name, "large file", f"{entry.size} bytes, and not in large_files.yml")
        for name, entry in files.items()
        if entry.size > _LARGE and name not in text
    ]


def audit_header(entry: Entry) -> list[Finding]:
    """A safetensors header is as long as it says, and its tensors fill the file exactly."""
    if entry.suffix != ".safetensors":
        return []
    length = int.from_bytes(entry.read(8), "little")
    if entry.size < 8 or length > min(entry.size - 8, _LONGEST_HEADER):
        why = f"It announces {length} bytes, the file has {entry.size}"
        return [Finding(entry.name, "oversized header", why)]
    try:
        header = json.loads(entry.read(8 + length)[8:])
        ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        return [Finding(entry.name, "unreadable", f"{type(error).__name__}: {error}"[:200])]
    if max(ends, default=0) != entry.size - 8 - length:
        why = f"Tensors end at {max(ends, default=0)}, the file holds {entry.size - 8 - length}"
        return [Finding(entry.name, "size mismatch", why)]
    return []
