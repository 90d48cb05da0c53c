"""Figures of a run for TensorBoard or MLflow, in files beside the mapper: nothing is sent out."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from medfs.core.errors import MissingExtraError, UsageError

Kind = Literal["none", "tensorboard", "mlflow"]
KINDS: tuple[Kind, ...] = ("none", "tensorboard", "mlflow")


class Tracker(Protocol):
    """Takes numbers by step."""

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class _Nowhere:
    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Nobody asked."""

    def close(self) -> None:
        """Nothing was opened."""


NOWHERE: Tracker = _Nowhere()


class TensorBoard:
    """Event files in a folder; `tensorboard --logdir` shows them."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard") from error
        self._writer: Any = SummaryWriter(str(folder))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class MLflow:
    """A run in MLflow's own store: where MLFLOW_TRACKING_URI says, else files in the folder."""

    def __init__(self, folder: Path, parameters: Mapping[str, Any]) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError as error:
            raise _missing("mlflow") from error
        self._client = MlflowClient(_store(folder))
        found = self._client.get_experiment_by_name("medfs")
        experiment = found.experiment_id if found else self._client.create_experiment("medfs")
        self._run = self._client.create_run(experiment).info.run_id
        for name, value in parameters.items():
            self._client.log_param(self._run, name, value)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._client.log_metric(self._run, name, value, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run)


def open_tracker(kind: str, folder: Path, parameters: Mapping[str, Any]) -> Tracker:
    """A tracker that writes below `folder`.

    Args:
        kind: none, tensorboard or mlflow.
        folder: made if needed.
        parameters: what the run is, for MLflow's table.

    Raises:
        UsageError: another kind.
        MissingExtraError: the package is not installed.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no tracker {kind!r}", why=f"Known: {', '.join(KINDS)}")
    if kind == "none":
        return NOWHERE
    if kind == "tensorboard":
        return TensorBoard(folder / "tensorboard")
    return MLflow(folder / "mlflow", parameters)


def _store(folder: Path) -> str:
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    # Plain files need no database; MLflow wants to hear that this is on purpose.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return folder.absolute().as_uri()


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(
        f"--track {package} needs a package that is not installed",
        todo="Install it: pip install 'medfs[tracking]'",
    )
