"""YAML files, read strictly: nothing twice, nothing by reference, nothing large."""

from pathlib import Path
from typing import Any

import yaml

from medfs.core.errors import ConfigError

# A page of rules or of a preset has a kilobyte.
_LARGEST = 1 << 16


class _Loader(yaml.SafeLoader):
    """Keys once each, and no aliases: a few lines of them expand to gigabytes when shown."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value[:80]!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def load_yaml(path: Path, what: str) -> Any:
    """Plain data of a YAML file (1.1, the `safe` types); None where it is empty.

    Args:
        path: the file.
        what: the message where it cannot be read: `the rules cannot be read`.

    Raises:
        ConfigError: missing, larger than 64 KiB, not UTF-8, not YAML, a key given twice, an alias,
            or a tag that is not of plain data.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 10} KiB")
        return yaml.load(content.decode("utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except RecursionError as error:
        raise _unreadable(path, what, "it is nested too deeply") from error
    except OSError as error:
        raise _unreadable(path, what, error.strerror or str(error)) from error
    # Values that look like dates or numbers and are none raise ValueError, KeyError and others.
    except Exception as error:
        raise _unreadable(path, what, str(error) or type(error).__name__) from error


def _unreadable(path: Path, what: str, why: str) -> ConfigError:
    return ConfigError(
        what,
        case=path.name,
        why=why,
        todo="Give a YAML file of keys with values, such as `modality: CT`, at most 64 KiB",
    )
