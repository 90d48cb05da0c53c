"""Figures end up in files of TensorBoard and MLflow, below the folder of the run."""

import pytest

from medfs.core.errors import MissingExtraError, UsageError
from medfs.workflows.meta.config import parse_config
from medfs.workflows.meta.run import MetaRequest
from medfs.workflows.meta.tracking import open_tracker
from medfs.workflows.meta.train import meta_train


def test_an_unknown_tracker_is_refused(tmp_path):
    with pytest.raises(UsageError, match="wandb"):
        open_tracker("wandb", tmp_path, {})


@pytest.mark.parametrize(
    ("kind", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")]
)
def test_an_absent_package_names_the_extra(kind, module, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=r"medfs\[tracking\]"):
        open_tracker(kind, tmp_path, {})


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_what_was_logged(tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra tracking"
    )
    tracker = open_tracker("tensorboard", tmp_path, {})
    for step in (1, 2):
        tracker.log(step, {"loss": 1.0 / step})
    tracker.close()
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 1.0), (2, 0.5)]


@pytest.mark.filterwarnings("ignore")
def test_a_run_logs_every_validation(tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="the extra tracking"
    )
    family = {"kind": "gaussian", "n_features": 4, "n_way": [2], "n_shot": [2], "n_query": 2}
    content = {
        "mapper": {"name": "r2d2"},
        "train": {"family": family},
        "validation": {"family": family},
        "loop": {"steps": 4, "tasks": 2, "validate_every": 2, "validation_batches": 1},
    }
    config = parse_config(content, "test")
    report = meta_train(MetaRequest(config, tmp_path / "run", track="tensorboard"))
    events = reader.EventAccumulator(str(tmp_path / "run" / "tracking" / "tensorboard"))
    events.Reload()
    logged = {e.step: e.value for e in events.Scalars("loss")}
    assert logged == pytest.approx({e["step"]: e["loss"] for e in report["history"]})
    assert set(events.Tags()["scalars"]) >= {"train_loss", "accuracy", "tasks_per_second"}


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_what_was_logged(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="the extra tracking")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracker = open_tracker("mlflow", tmp_path, {"seed": 3})
    tracker.log(1, {"loss": 0.5})
    tracker.close()
    client = mlflow.MlflowClient((tmp_path / "mlflow").absolute().as_uri())
    experiment = client.get_experiment_by_name("medfs")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.metrics == {"loss": 0.5}
    assert run.data.params == {"seed": "3"}
    assert run.info.status == "FINISHED"
