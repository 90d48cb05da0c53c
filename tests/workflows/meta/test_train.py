"""One loop: it learns, it can be stopped anywhere, and it says what went wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from medfs.core.errors import ConfigError, EpisodeError, IntegrityError, OutputError
from medfs.export.checkpoint import read_checkpoint
from medfs.export.mapper_file import read_mapper
from medfs.synthesis.gaussian import GaussianFamily
from medfs.workflows.meta import train as loop
from medfs.workflows.meta.run import CHECKPOINT, Listener
from medfs.workflows.meta.train import MAPPER, judge, meta_train
from medfs.workflows.registries import MAPPERS

from .conftest import GAUSSIAN, make_config

# Ridge learns nothing; mixture learns from tasks of other kinds than these.
LEARNED = sorted(
    e.name
    for e in MAPPERS.entries().values()
    if e.provider == "medfs" and e.name not in ("ridge", "mixture")
)


class Stop(Exception):  # noqa: N818
    """Raised in place of a kill."""


def stop_after(n_validations):
    seen = []

    def validated(facts):
        seen.append(facts)
        if len(seen) == n_validations:
            raise Stop

    return Listener(validated=validated)


@pytest.mark.parametrize("name", LEARNED)
def test_training_lowers_the_validation_loss(name, request_for, config):
    hidden = 0 if name == "distribution-calibration" else 4
    run = config(
        mapper={"name": name, "settings": {"embedding": "population", "hidden": hidden}},
        loop={"steps": 90, "tasks": 8, "validate_every": 30, "average": 0.9},
    )
    history = meta_train(request_for(run))["history"]
    # All begin near their untrained rule; the first entry is after 30 steps.
    assert history[-1]["loss"] < history[0]["loss"]


def test_a_stopped_run_goes_on_to_the_same_bytes(request_for, config):
    run = config()
    whole = request_for(run, "whole")
    meta_train(whole)
    for n_validations in (1, 2, 3):
        stopped = request_for(run, f"stopped-{n_validations}")
        with pytest.raises(Stop):
            meta_train(stopped, stop_after(n_validations))
        meta_train(request_for(run, f"stopped-{n_validations}", resume=True))
        assert (stopped.out / MAPPER).read_bytes() == (whole.out / MAPPER).read_bytes()
        assert (stopped.out / CHECKPOINT).read_bytes() == (whole.out / CHECKPOINT).read_bytes()


def test_without_averaging_the_weights_themselves_are_kept(request_for, config):
    loop_ = {"steps": 6, "tasks": 4, "validate_every": 6, "validation_batches": 2}
    for decay in (0.0, 0.9):
        request = request_for(config(loop={**loop_, "average": decay}), f"decay-{decay}")
        meta_train(request)
        kept = read_mapper(request.out / MAPPER).tensors
        last = read_checkpoint(request.out / CHECKPOINT).tensors
        same = [torch.equal(t, last[f"learner.{name}"]) for name, t in kept.items()]
        assert all(same) == (decay == 0.0)


def test_a_long_run_keeps_what_its_tasks_looked_like_and_a_short_one_does_not(request_for, config):
    from medfs.mappers.familiarity import familiarity_in
    from medfs.workflows.meta.run import _FEWEST_TASKS

    found = {}
    for steps in (12, -(-_FEWEST_TASKS // 100)):
        loop_ = {"steps": steps, "tasks": 100, "validate_every": steps, "validation_batches": 2}
        request = request_for(config(loop=loop_), f"steps-{steps}")
        meta_train(request)
        found[steps] = familiarity_in(read_mapper(request.out / MAPPER).tensors)
    short, long = found.values()
    assert short is None
    low, high = long.limits(9).T
    told = long.statistics(torch.randn(9, 6, generator=torch.Generator().manual_seed(0)).double())
    assert told.shape == low.shape == high.shape


def test_a_run_that_was_stopped_leaves_its_best_mapper(request_for, config):
    request = request_for(config())
    with pytest.raises(Stop):
        meta_train(request, stop_after(1))
    assert read_mapper(request.out / MAPPER).training["steps"] == 3


def test_another_seed_gives_another_mapper(request_for, config):
    made = []
    for seed in (0, 1):
        request = request_for(config(seed=seed), f"seed-{seed}")
        meta_train(request)
        made.append(read_mapper(request.out / MAPPER).identity)
    assert made[0] != made[1]


def test_patience_ends_a_run_that_learns_nothing(request_for, config):
    still = config(
        optimiser={"rate": 1e-12},
        loop={"steps": 500, "tasks": 2, "validate_every": 1, "patience": 2, "average": 0.0},
    )
    report = meta_train(request_for(still))
    losses = [entry["loss"] for entry in report["history"]]
    assert report["steps"] < 500
    assert min(losses) == losses[-3]


def test_what_is_kept_is_the_average_that_was_judged_best(request_for, config):
    request = request_for(config())
    report = meta_train(request)
    kept = read_mapper(request.out / MAPPER)
    assert kept.training["best"] == report["best"]
    assert report["best"]["loss"] == min(entry["loss"] for entry in report["history"])


def test_an_existing_folder_is_not_written_over(request_for, config):
    request = request_for(config())
    meta_train(request)
    with pytest.raises(OutputError, match="exists"):
        meta_train(request)


def test_a_folder_of_something_else_is_not_resumed(request_for, config):
    request = request_for(config(), resume=True)
    request.out.mkdir()
    (request.out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="no checkpoint"):
        meta_train(request)


def test_another_configuration_is_not_resumed(request_for, config):
    with pytest.raises(Stop):
        meta_train(request_for(config()), stop_after(1))
    other = config(optimiser={"rate": 0.5, "warm_up": 2})
    with pytest.raises(ConfigError, match=r"optimiser\.rate was 0\.02 and is 0\.5"):
        meta_train(request_for(other, resume=True))


@pytest.mark.parametrize("damage", ["cut", "flip", "other"])
def test_a_damaged_checkpoint_is_refused(damage, request_for, config):
    with pytest.raises(Stop):
        meta_train(request_for(config()), stop_after(1))
    path = request_for(config()).out / CHECKPOINT
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-20]
    elif damage == "flip":
        content[-9] ^= 1
    else:
        from safetensors.torch import save

        content = save({"a": torch.zeros(2)})
    path.write_bytes(bytes(content))
    with pytest.raises(IntegrityError):
        meta_train(request_for(config(), resume=True))


@pytest.mark.parametrize(("call", "source"), [(6, "'family'"), (5, "the validation")])
def test_an_infinite_loss_names_step_and_source(call, source, request_for, config, monkeypatch):
    honest = loop.query_losses
    calls = []

    def diverging(logits, batch):
        calls.append(0)
        return honest(logits, batch) * (float("inf") if len(calls) == call else 1)

    monkeypatch.setattr(loop, "query_losses", diverging)
    request = request_for(config())
    with pytest.raises(EpisodeError, match=f"{source}.*not finite"):
        meta_train(request)
    assert read_checkpoint(request.out / CHECKPOINT).step == (3 if call == 6 else 0)


def test_a_perfect_learner_scores_one_and_padding_does_not_count():
    batch = GaussianFamily.drawn(6, 0).sample(4, 3, 2, 5, torch.Generator().manual_seed(0))
    right = 100.0 * torch.nn.functional.one_hot(batch.query_labels, 3)
    assert judge(lambda _: right, [batch]) == pytest.approx((0.0, 1.0))
    weights = batch.query_weights.clone()
    weights[:, -1] = 0.0
    from dataclasses import replace

    wrong_last = right.clone()
    wrong_last[:, -1] = right[:, -1].flip(-1)
    padded = replace(batch, query_weights=weights)
    _, accuracy = judge(lambda _: wrong_last, [padded])
    assert accuracy == pytest.approx(float(weights.sum(dim=1).mean()))


def test_an_encoder_is_trained_end_to_end_and_can_be_used(request_for, tmp_path):
    tiny = {
        "kind": "synthetic",
        "shape": [8, 8, 8],
        "scenes": ["shape"],
        "n_way": [2],
        "n_shot": [2],
        "n_query": 2,
    }
    config = make_config(
        mapper={"name": "prototype", "settings": {"embedding": "none"}},
        encoder={"widths": [2, 3]},
        train={"shapes": tiny},
        validation={"shapes": tiny},
        loop={"steps": 2, "tasks": 2, "validate_every": 1, "validation_batches": 1},
    )
    request = request_for(config)
    meta_train(request)
    from medfs.workflows.components import build_encoders, build_mapper

    path = request.out / MAPPER
    encoders = build_encoders(("stages",), {"stages": path}, torch.device("cpu"))
    mapper = build_mapper(f"prototype={path}", encoders)
    assert mapper.n_features == 2 * (2 + 3)


def test_features_of_synthetic_tasks_are_pooled_and_cached(request_for, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDFS_CACHE", str(tmp_path / "cache"))
    pooled = {
        "kind": "synthetic-features",
        "shape": [12, 12, 12],
        "scenes": ["shape"],
        "n_way": [2, 3],
        "n_shot": [1, 2],
        "n_query": 2,
        "pool": 3,
        "label_noise": [0.2, 0.2],
        "imbalance": 0.5,
    }
    config = make_config(
        features=["radiomics"],
        train={"shapes": pooled},
        validation={"shapes": {**pooled, "seed": 1}},
    )
    encoded = []
    for name in ("one", "other"):
        from dataclasses import replace

        request = replace(request_for(config, name), use_cache=True)
        meta_train(request, Listener(encoded=encoded.append))
    assert sum(encoded) == 6
    one, other = (read_mapper(tmp_path / n / MAPPER) for n in ("one", "other"))
    assert one.identity == other.identity


PROGRAM = "from medfs.cli.main import main; main()"


def start(config_file, out, *more):
    command = [sys.executable, "-c", PROGRAM, "meta-train", "--config", str(config_file)]
    return subprocess.Popen(
        [*command, "--out", str(out), *more],
        env={**os.environ, "MEDFS_CACHE": str(out.parent / "cache"), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_bytes(tmp_path):
    file = tmp_path / "run.yaml"
    loop_ = {"steps": 400, "tasks": 4, "validate_every": 5, "validation_batches": 1, "patience": 99}
    content = make_config(train={"family": GAUSSIAN}, loop=loop_).to_dict()
    file.write_text(yaml.safe_dump(json.loads(json.dumps(content))))
    assert start(file, tmp_path / "whole").wait() == 0
    killed, n_kills = tmp_path / "killed", 0
    for wait in (0.3, 0.8):
        process = start(file, killed, "--resume")
        while not (killed / CHECKPOINT).is_file() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        n_kills += process.wait() == -signal.SIGKILL
    assert n_kills
    assert start(file, killed, "--resume").wait() == 0
    for name in (MAPPER, CHECKPOINT):
        assert (killed / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
