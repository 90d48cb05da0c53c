"""Configuration files shipped with the package: data, never code."""

from pathlib import Path
from typing import Any

from medfs.core.errors import ConfigError, UsageError
from medfs.storage.yaml_files import load_yaml

_NOUNS = {"presets": "preset", "meta-train": "meta-training configuration"}


def config_folder(kind: str) -> Path:
    """Folder of the shipped configs of one kind: inside the wheel, or beside the source tree."""
    package = Path(__file__).parents[1]
    for base in (package / "configs", package.parent / "configs"):
        if (base / kind).is_dir():
            return base / kind
    raise ConfigError(
        f"the shipped {kind} are missing",
        why=f"Neither {package / 'configs'} nor a configs folder beside the package exists",
        todo="Install medfs again",
    )


def config_names(kind: str) -> tuple[str, ...]:
    """Names of the shipped configs of one kind, sorted."""
    return tuple(sorted(path.stem for path in config_folder(kind).glob("*.yaml")))


def read_config(kind: str, name: str) -> dict[str, Any]:
    """The shipped config `name`, or the YAML file that `name` points to."""
    noun = _NOUNS.get(kind, kind)
    path = Path(name) if name.endswith((".yaml", ".yml")) else config_folder(kind) / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(
            f"there is no {noun} called {name!r}",
            why=f"Known: {', '.join(config_names(kind))}",
            todo="Choose a known one, or give the path of a .yaml file",
        )
    content = load_yaml(path, f"the {noun} cannot be read")
    if not isinstance(content, dict):
        raise ConfigError("must be a mapping of keys to values", case=str(path))
    return content
