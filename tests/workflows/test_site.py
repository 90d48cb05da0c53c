"""Unlabelled scans: what the mapper takes from them, and when it refuses."""

import pytest
import torch

from medfs.core.errors import CohortError, UsageError
from medfs.mappers.mixture import Mixture
from medfs.workflows.adapt import AdaptRequest, adapt
from medfs.workflows.components import build_encoders
from medfs.workflows.recipes import AUTO, PLAIN, SHIPPED, recipe

N_FEATURES = 5


def rows(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, N_FEATURES, generator=generator) * torch.arange(1.0, N_FEATURES + 1)


def test_spread_becomes_that_of_the_site_as_cases_grow():
    mapper = Mixture(N_FEATURES)
    few, many = mapper.at_site(rows(10)), mapper.at_site(rows(20_000))
    expected = torch.arange(1.0, N_FEATURES + 1)
    torch.testing.assert_close(many.spread, expected, rtol=0.03, atol=0)
    assert ((few.spread - 1).abs() < (many.spread - 1).abs() + 0.5).all()
    assert torch.equal(mapper.spread, torch.ones(N_FEATURES)), "the mapper itself changed"


def test_one_strange_scan_does_not_rule():
    honest = rows(40)
    strange = honest.clone()
    strange[0] *= 1e4
    one, other = Mixture(N_FEATURES).at_site(honest), Mixture(N_FEATURES).at_site(strange)
    torch.testing.assert_close(one.spread, other.spread, rtol=0.15, atol=0)


def test_a_feature_that_most_share_is_still_told_apart():
    shared = rows(40)
    shared[:, 0] = 1.0
    shared[:3, 0] = 0.0
    assert (Mixture(N_FEATURES).at_site(shared).spread > 0).all()


def test_order_of_the_scans_does_not_matter_and_their_content_is_remembered():
    made = recipe(AUTO, build_encoders(("radiomics",), {}, torch.device("cpu")))
    width = made.mapper.n_features
    given = torch.randn(15, width, generator=torch.Generator().manual_seed(1))
    one, other = made.at_site(given), made.at_site(given + 1)
    assert one.identity.startswith(made.identity)
    assert one.identity != other.identity
    assert "15 unlabelled scans" in one.reason


def test_other_mappers_say_that_they_cannot():
    encoders = build_encoders(("radiomics",), {}, torch.device("cpu"))
    with pytest.raises(UsageError, match=SHIPPED):
        recipe(PLAIN, encoders).at_site(torch.zeros(10, 39))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    from itertools import islice

    from medfs.scans.write import write_nifti
    from medfs.synthesis.cohorts import simulate_cohort

    folder = tmp_path_factory.mktemp("site")
    for i, case in enumerate(islice(simulate_cohort(9, 0), 18)):
        side = "unlabelled" if i >= 6 else f"cases/{case.label}"
        (folder / side).mkdir(parents=True, exist_ok=True)
        write_nifti(folder / side / f"{i}.nii.gz", case.voxels, case.affine, "int16")
        write_nifti(folder / side / f"{i}_mask.nii.gz", case.mask, case.affine, "uint8")
    return folder


def request(cohort, out, **more):
    given = {"unlabelled": cohort / "unlabelled", "use_cache": False} | more
    return AdaptRequest(cohort / "cases", out, **given)


def test_adapt_reads_them_and_says_so(cohort, tmp_path):
    made = adapt(request(cohort, tmp_path / "with"))
    plain = adapt(request(cohort, tmp_path / "without", unlabelled=None))
    assert "12 unlabelled scans" in made.report["components"]["mapper_reason"]
    assert "-site-" in made.report["components"]["mapper"]
    assert "unlabelled" not in plain.report["components"]["mapper_reason"]
    one, other = ((tmp_path / n / "weights.safetensors").read_bytes() for n in ("with", "without"))
    assert one != other


def test_too_few_scans_and_missing_masks_are_refused(cohort, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    source = sorted((cohort / "unlabelled").glob("*_mask.nii.gz"))[0]
    scan = source.with_name(source.name.replace("_mask", ""))
    (few / scan.name).write_bytes(scan.read_bytes())
    with pytest.raises(CohortError, match="have no mask"):
        adapt(request(cohort, tmp_path / "a", unlabelled=few))
    (few / source.name).write_bytes(source.read_bytes())
    with pytest.raises(CohortError, match="at least 10"):
        adapt(request(cohort, tmp_path / "b", unlabelled=few))
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
