"""Sources of tasks: what they draw depends on the generator alone, and every task is sound."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medfs.core.errors import CohortError, EpisodeError
from medfs.scans.write import write_nifti
from medfs.storage.tensors import TensorCache
from medfs.workflows.components import build_encoders
from medfs.workflows.meta import sources
from medfs.workflows.meta.families import CohortTasks, GaussianTasks, SyntheticTasks
from medfs.workflows.meta.sources import Workshop, mixture

CPU = torch.device("cpu")
SMALL = {"shape": (10, 10, 10), "scenes": ("shape", "lesion-mr"), "n_way": (2, 3), "n_query": 2}


@pytest.fixture(scope="module")
def workshop():
    encoders = build_encoders(("radiomics",), {}, CPU)
    return Workshop(encoders, CPU, TensorCache(None), 3)


def kinds():
    volumes = SyntheticTasks("synthetic", n_shot=(1, 2), **SMALL)
    return {
        "gaussian": GaussianTasks("gaussian", n_features=4, n_way=(2, 4), n_shot=(1, 3)),
        "volumes": volumes,
        "pooled": replace(volumes, kind="synthetic-features", pool=2),
        "noisy": replace(
            volumes,
            kind="synthetic-features",
            pool=2,
            n_shot=(4,),
            label_noise=(0.4, 0.4),
            imbalance=1.0,
        ),
        "directions": replace(
            volumes, kind="synthetic-features", pool=2, labels="directions", cases=12
        ),
        "chance": replace(volumes, kind="synthetic-features", pool=2, labels="none", cases=12),
    }


@pytest.mark.parametrize("kind", kinds())
def test_the_generator_alone_decides(kind, workshop):
    source = mixture({"it": kinds()[kind]}, workshop)
    one, other, third = (source.sample(np.random.default_rng(s)).item for s in (1, 1, 2))
    assert torch.equal(one.support, other.support)
    assert torch.equal(one.query_labels, other.query_labels)
    assert one.support.shape != third.support.shape or not torch.equal(one.support, third.support)


@pytest.mark.parametrize("kind", kinds())
def test_every_task_is_sound(kind, workshop):
    source, rng = mixture({"it": kinds()[kind]}, workshop), np.random.default_rng(0)
    for _ in range(6):
        batch = source.sample(rng).item
        assert len(batch) == 3
        for weights in (batch.support_weights, batch.query_weights):
            torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
        # Classes of a side weigh alike.
        torch.testing.assert_close(
            batch.members.sum(dim=1), torch.full((3, batch.n_way), 1 / batch.n_way)
        )
        assert bool(torch.isfinite(batch.support).all())
        assert (batch.support[batch.support_weights == 0] == 0).all()


def test_a_pooled_case_is_on_one_side_only(workshop):
    source, rng = mixture({"it": kinds()["pooled"]}, workshop), np.random.default_rng(3)
    batch = source.sample(rng).item
    for support, query in zip(batch.support, batch.query, strict=True):
        assert torch.cdist(support.double(), query.double()).min() > 0


def test_more_than_the_pool_has_is_refused(workshop):
    pool = sources._build(kinds()["pooled"], workshop)
    asking = replace(pool, ways_and_shots=lambda _: (4, 1))
    with pytest.raises(EpisodeError, match="4-way"):
        asking.sample(np.random.default_rng(0))


def test_label_maps_surround_the_findings(workshop, tmp_path):
    maps = np.indices((12, 12, 12)).sum(axis=0) // 6
    write_nifti(tmp_path / "a.nii.gz", maps.astype("uint8"), np.eye(4), "uint8")
    plain = SyntheticTasks("synthetic", n_shot=(1,), **{**SMALL, "scenes": ("organ-mr",)})
    drawn = [
        mixture({"it": source}, workshop).sample(np.random.default_rng(0)).item
        for source in (plain, replace(plain, shapes=str(tmp_path)))
    ]
    assert not torch.equal(drawn[0].support[:, :, 0], drawn[1].support[:, :, 0])


@pytest.mark.parametrize("content", ["nothing", "fractions"])
def test_what_is_no_label_map_is_refused(content, workshop, tmp_path):
    if content == "fractions":
        voxels = np.linspace(0, 1, 8).reshape(2, 2, 2)
        write_nifti(tmp_path / "a.nii", voxels.astype("float32"), np.eye(4), "float32")
    source = SyntheticTasks("synthetic", n_shot=(1,), shapes=str(tmp_path), **SMALL)
    with pytest.raises(CohortError, match="label map"):
        mixture({"it": source}, workshop)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Twenty-four patients of two classes, cubes of two sizes, and a file that is none."""
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    lines = ["case,image,mask,patient,label"]
    for i in range(24):
        voxels = rng.normal(size=(14, 14, 14)).astype("float32")
        mask = np.zeros(voxels.shape, "uint8")
        side = 2 + i % 2
        mask[7 - side : 7 + side, 7 - side : 7 + side, 7 - side : 7 + side] = 1
        write_nifti(folder / f"{i}.nii.gz", voxels, np.diag([3.0, 3, 3, 1]), "float32")
        write_nifti(folder / f"{i}_mask.nii.gz", mask, np.diag([3.0, 3, 3, 1]), "uint8")
        lines.append(f"c{i},{i}.nii.gz,{i}_mask.nii.gz,p{i},{'big' if i % 2 else 'small'}")
    (folder / "broken.nii.gz").write_bytes(b"nothing")
    lines.append("c24,broken.nii.gz,0_mask.nii.gz,p24,small")
    (folder / "cases.csv").write_text("\n".join(lines) + "\n")
    return folder / "cases.csv"


@pytest.mark.parametrize("encoded", [True, False])
def test_sides_of_a_cohort_share_no_patient(encoded, cohort, workshop):
    told = []
    used = workshop if encoded else replace(workshop, encoders=())
    used = replace(used, warn=lambda texts: told.extend(texts))
    design = {"n_way": "all", "n_shot": 1, "n_query": 1}
    both = {
        side: CohortTasks("cohort", str(cohort), design, side=side, share=0.5, preset="mr")
        for side in ("train", "validation")
    }
    seen = {}
    for side, source in both.items():
        drawn = mixture({side: source}, used)
        rng = np.random.default_rng(0)
        batches = [drawn.sample(rng).item for _ in range(8)]
        rows = torch.cat(
            [t.flatten(0, 1).flatten(1) for b in batches for t in (b.support, b.query)]
        )
        seen[side] = {tuple(row) for row in rows[:, :40].tolist()}
    assert seen["train"]
    assert not seen["train"] & seen["validation"]
    assert any("c24" in text for text in told)
