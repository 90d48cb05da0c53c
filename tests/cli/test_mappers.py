"""Every mapper from the command line: registered, meta-trained on features, and end to end."""

import csv
import json
from pathlib import Path

import pytest

from medfs.workflows.registries import MAPPERS

TASKS = {"shape": [12, 12, 12], "scenes": ["lesion-ct"], "n_way": [2], "n_shot": [2], "n_query": 2}
LOOP = {"steps": 2, "tasks": 2, "validate_every": 1, "validation_batches": 1}


def probabilities(path):
    with Path(path).open(newline="") as file:
        return [
            [float(v) for k, v in row.items() if k.startswith("p_")] for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A mapper on radiomics and one with its own encoder, hardly trained."""
    from medfs.workflows.meta.config import parse_config
    from medfs.workflows.meta.run import MetaRequest
    from medfs.workflows.meta.train import meta_train

    folder = tmp_path_factory.mktemp("trained")
    pooled = {**TASKS, "kind": "synthetic-features", "pool": 2}
    volumes = {**TASKS, "kind": "synthetic"}
    contents = {
        "features": {
            "mapper": {"name": "hyper", "settings": {"embedding": "population", "hidden": 2}},
            "features": ["radiomics"],
            "train": {"lesions": pooled},
        },
        "volumes": {
            "mapper": {"name": "r2d2", "settings": {"embedding": "none"}},
            "encoder": {"widths": [2, 3]},
            "train": {"lesions": volumes},
        },
        "per-task": {
            "mapper": {"name": "maml", "settings": {"steps": 1}},
            "encoder": {"widths": [2]},
            "train": {"lesions": volumes},
        },
    }
    for name, content in contents.items():
        config = parse_config({**content, "validation": content["train"], "loop": LOOP}, name)
        meta_train(MetaRequest(config, folder / name, use_cache=False))
    return {name: folder / name / "mapper.safetensors" for name in contents}


@pytest.mark.parametrize("name", sorted(MAPPERS.entries()))
def test_every_registered_mapper_adapts_and_predicts(name, medfs, support, scans, out):
    done = medfs("adapt", "--support", support, "--out", out, "--mapper", name)
    assert done.code == 0, done.err
    csv_file = out.parent / "p.csv"
    done = medfs("predict", out, scans, "--out", csv_file)
    assert done.code == 0, done.err
    rows = probabilities(csv_file)
    assert rows
    assert all(abs(sum(row) - 1) < 1e-6 for row in rows)
    # Θ told the scans apart.
    assert len({tuple(row) for row in rows}) == len(rows)


def test_a_trained_mapper_adapts_and_is_remembered_by_its_hash(medfs, trained, support, scans, out):
    spec = f"hyper={trained['features']}"
    done = medfs("adapt", "--support", support, "--out", out, "--mapper", spec)
    assert done.code == 0, done.err
    settings = json.loads((out / "model.json").read_text())["settings"]
    assert settings["mapper"].startswith("hyper-")
    assert str(trained["features"].parent) not in (out / "model.json").read_text()
    done = medfs("predict", out, scans, "--out", out.parent / "p.csv")
    assert done.code == 0, done.err


def test_an_encoder_trained_end_to_end_adapts_and_predicts(medfs, trained, support, scans, out):
    path = trained["volumes"]
    done = medfs(
        *("adapt", "--support", support, "--out", out, "--features", "stages"),
        *("--weights", f"stages={path}", "--mapper", f"r2d2={path}"),
    )
    assert done.code == 0, done.err
    done = medfs("predict", out, scans, "--out", out.parent / "p.csv")
    assert done.code == 0, done.err
    assert len(probabilities(out.parent / "p.csv")) > 0


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ("ridge={features}", 2, "holds the mapper 'hyper'"),
        ("r2d2={volumes}", 2, "trained on other features"),
        ("maml={per-task}", 2, "changes its encoder"),
        ("hyper=nowhere.safetensors", 3, "no mapper file"),
        ("hyper={cases}", 4, "safetensors"),
    ],
)
def test_a_mapper_file_that_does_not_fit_is_refused(
    spec, code, said, medfs, trained, support, out, tmp_path
):
    (tmp_path / "cases.csv").write_text("a,b\n")
    given = spec.format(**trained, cases=tmp_path / "cases.csv")
    done = medfs("adapt", "--support", support, "--out", out, "--mapper", given)
    assert done.code == code, done.err
    assert said in done.err
    assert not out.exists()


def test_meta_train_says_how_it_goes_and_how_to_use_the_result(medfs, tmp_path):
    config = tmp_path / "run.yaml"
    family = {"kind": "gaussian", "n_features": 4, "n_way": [2], "n_shot": [2], "n_query": 2}
    content = {
        "mapper": {"name": "r2d2"},
        "train": {"family": family},
        "validation": {"family": family},
        "loop": LOOP,
    }
    config.write_text(json.dumps(content))
    out = tmp_path / "run"
    done = medfs("meta-train", "--config", config, "--out", out, "--json")
    assert done.code == 0, done.err
    assert "episodes/s" in done.err
    assert json.loads(done.out) == json.loads((out / "training.json").read_text())
    assert json.loads(done.out)["steps"] == 2
    hyper = tmp_path / "hyper"
    other = medfs("meta-train", "--config", config, "--out", hyper, "--mapper", "hyper")
    assert other.code == 0, other.err
    assert json.loads((hyper / "training.json").read_text())["config"]["mapper"]["name"] == "hyper"
    again = medfs("meta-train", "--config", config, "--out", out)
    assert again.code == 1
    assert "exists already" in again.err


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("nothing", 2, "gaussian"), ("broken.yaml", 3, "'loop'")],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    name, code, said, medfs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("lop: {}\n")
    done = medfs("meta-train", "--config", name, "--out", tmp_path / "run")
    assert done.code == code
    assert said in done.err
    assert not (tmp_path / "run").exists()
